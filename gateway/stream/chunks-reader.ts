// Reads what the events of one OpenAI answer in chunks mean, and parses JSON only where the bytes alone can't tell.
import { endsWith, findTail, keepTail, readTail, shareTail } from './chunk-tails.ts'
import { DONE, readData, startsWith } from './sse.ts'
import type { EventKind, StreamReader } from './stream-reader.ts'
import { type SaidUsage, toUsage, type Usage } from './usage.ts'

const CLOSE_BRACE = 0x7d
const COLON = 0x3a
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** An event larger than this is no token. */
const MAX_EVENT_BYTES = 1_048_576
/** Role chunks are small. */
const MAX_EARLY_BYTES = 65_536

/** The fields of a chunk that matter here; everything else passes unread. */
interface Chunk {
  readonly choices?: readonly Choice[]
  readonly usage?: SaidUsage | null
  readonly error?: { readonly code?: unknown } | string
}
interface Choice {
  readonly index?: number
  readonly text?: string
  readonly delta?: Readonly<Record<string, unknown>>
  readonly finish_reason?: string | null
}

const isFilled = (value: unknown) =>
  typeof value === 'string' ? value !== '' : Array.isArray(value) ? value.length > 0 : value != null

/** Whether a choice carries generated output: text, reasoning, a tool call, anything but the role. */
function hasOutput({ text, delta }: Choice): boolean {
  if (isFilled(text)) return true
  for (const field in delta) if (field !== 'role' && isFilled(delta[field])) return true
  return false
}

/** Follows one streamed answer of chat or text completions, or of a transcription. */
export class ChunksReader implements StreamReader {
  // what a token touches stands first
  /** How a plain output event of this stream ends, learnt from the first one: `"finish_reason":null…`. */
  #plainTail: Buffer | undefined
  outputEvents = 0
  usage: Usage | undefined
  /** The newest finish reason; undefined until a choice has finished. */
  finishReason: string | undefined
  errorStatus = 500
  /** The choices that have finished, by index; with one choice nobody need ask which. */
  #finished: Set<number> | undefined
  readonly #choices: number

  /** @param choices how many choices the answer has; with one, most events need no parsing */
  constructor(choices = 1) {
    this.#choices = choices
  }

  /** Chunks have no numbers. */
  get events(): number {
    return 0
  }

  /** A role chunk a choice. */
  get maxEarlyEvents(): number {
    return this.#choices
  }

  get maxEarlyBytes(): number {
    return MAX_EARLY_BYTES
  }

  get maxEventBytes(): number {
    return MAX_EVENT_BYTES
  }

  get lastEvent(): Buffer {
    return DONE
  }

  get finished(): boolean {
    if (this.#choices === 1) return this.finishReason !== undefined
    return (this.#finished?.size ?? 0) >= this.#choices
  }

  glance(run: Buffer, start: number, end: number): boolean {
    if (this.#plainTail === undefined || !endsWith(run, start, end, this.#plainTail)) return false
    this.outputEvents++
    return true
  }

  read(run: Buffer, start: number, end: number): EventKind {
    if (this.glance(run, start, end)) return 'output'
    const plain = this.#glanceAtPlain(run, start, end)
    if (plain !== undefined) return plain
    const data = readData(run, start, end)
    if (data === undefined) return 'comment'
    if (data === '[DONE]') return 'done'
    try {
      const chunk: Chunk = JSON.parse(data)
      const kind = this.#readChunk(chunk)
      if (chunk.choices?.length === 1 && chunk.usage == null) this.#learnTail(run, start, end, kind)
      return kind
    } catch {
      // no JSON, or what no engine writes: JSON can hold values that have no text
      return 'malformed'
    }
  }

  #readChunk(chunk: Chunk): EventKind {
    if (typeof chunk !== 'object' || chunk === null) return 'malformed'
    if (chunk.error != null) {
      const code = typeof chunk.error === 'string' ? 500 : chunk.error.code
      if (typeof code === 'number' && code >= 400 && code <= 599) this.errorStatus = code
      return 'error'
    }
    const choices = Array.isArray(chunk.choices) ? chunk.choices : []
    let [seen, output, finish] = [false, false, false]
    for (const choice of choices) {
      if (choice == null) continue
      seen = true
      output ||= hasOutput(choice)
      if (choice.finish_reason == null) continue
      finish = true
      this.#finish(choice.index ?? 0)
      this.finishReason = String(choice.finish_reason)
    }
    // beside choices, usage is that of its choice alone
    if (!seen || this.#choices === 1) this.usage = toUsage(chunk.usage) ?? this.usage
    if (!seen) return chunk.usage == null ? 'empty' : 'usage'
    if (output) this.outputEvents++
    if (finish) return 'finish'
    return output ? 'output' : 'empty'
  }

  #finish(index: number): void {
    if (this.#choices === 1) return
    this.#finished ??= new Set()
    this.#finished.add(index)
  }

  /**
   * An engine writes the same fields in the same order in every chunk, so an event with the tail of a plain one is a
   * plain one: no finish, no usage, no error. A chunk of several choices could hide a finish in front of it. Where the
   * tail does not start at `finish_reason`, nothing is learnt; nor of an answer that was broken off.
   */
  #learnTail(run: Buffer, start: number, end: number, kind: EventKind): void {
    const reason = kind === 'finish' ? this.finishReason : undefined
    if (this.#choices > 1 || !(reason === undefined ? GOES_ON.has(kind) : PLAIN_REASONS.has(reason))) return
    const tail = readTail(run, start, end, reason)
    if (tail === undefined) return
    shareTail(tail, reason)
    if (kind === 'output') this.#plainTail ??= keepTail(tail)
  }

  /**
   * What an event is that ends as one of another answer did: a role alone, a text, or a finish, and no more than that.
   * Undefined tells nothing. A first token waits for this, and parsing takes longer than all else that it waits for here.
   */
  #glanceAtPlain(run: Buffer, start: number, end: number): EventKind | undefined {
    if (this.#choices > 1 || !startsWith(run, start, CHUNK_START)) return undefined
    const tail = findTail(run, start, end)
    const delta = tail === undefined ? -1 : findDelta(run, start, end)
    if (tail === undefined || delta === -1) return undefined
    const emptyEnd = skipEmptyDelta(run, delta)
    const isEmpty = emptyEnd !== -1
    const deltaEnd = isEmpty ? emptyEnd : skipText(run, delta, end)
    if (deltaEnd === -1 || !startsWith(run, deltaEnd, NO_LOGPROBS)) return undefined
    if (deltaEnd + NO_LOGPROBS.length !== end - tail.bytes.length) return undefined
    if (!isEmpty) this.outputEvents++
    if (tail.reason !== undefined) {
      this.finishReason = tail.reason
      return 'finish'
    }
    if (isEmpty) return 'empty'
    this.#plainTail = tail.bytes
    return 'output'
  }
}

/** Events that an answer goes on after. */
const GOES_ON: ReadonlySet<EventKind> = new Set(['output', 'empty'])
/** How an answer ends that was not broken off. */
const PLAIN_REASONS: ReadonlySet<string> = new Set(['stop', 'length', 'tool_calls'])

/** How a chunk of vLLM begins, and no error of its. */
const CHUNK_START = Buffer.from('data: {"id":"')
/** Nothing but the id, the date and the model stands before the only choice. */
const DELTA = Buffer.from('"choices":[{"index":0,"delta":{')
const FOREIGN = ['"usage":', '"error":'].map((key) => Buffer.from(key))
/** The deltas without a text, from their first field on. */
const EMPTY_DELTAS = ['}', '"role":"assistant","content":""}', '"content":""}'].map((delta) => Buffer.from(delta))
const ROLE = Buffer.from('"role"')
/** Between a delta and the tail. Probabilities may be what no JSON has: whoever sends some has the first ones parsed. */
const NO_LOGPROBS = Buffer.from(',"logprobs":null,')
/** An id, a date and the name of a model come before the delta; a longer name has its events parsed. */
const MOST_BYTES_BEFORE = 512

/**
 * Where the first field of the delta begins; -1 where there is none near, or something else comes before it that counts. No text
 * of JSON holds quotes as these are.
 */
function findDelta(run: Buffer, start: number, end: number): number {
  const limit = Math.min(end, start + MOST_BYTES_BEFORE)
  for (let at = start; at < limit; at++) {
    if (run[at] !== QUOTE) continue
    if (startsWith(run, at, DELTA)) return at + DELTA.length
    for (const key of FOREIGN) if (startsWith(run, at, key)) return -1
  }
  return -1
}

/** The index after a delta that has no field, no text, or nothing but the role; -1 where `at` is in another one. */
function skipEmptyDelta(run: Buffer, at: number): number {
  for (const delta of EMPTY_DELTAS) if (startsWith(run, at, delta)) return at + delta.length
  return -1
}

/** The index after a delta whose only field is a text with a character in it, and not the role; -1 for another one. */
function skipText(run: Buffer, at: number, end: number): number {
  if (run[at] !== QUOTE || startsWith(run, at, ROLE)) return -1
  let i = at + 1
  while (isNameByte(run[i])) i++
  if (run[i] !== QUOTE || run[i + 1] !== COLON || run[i + 2] !== QUOTE || run[i + 3] === QUOTE) return -1
  for (i += 3; i < end && run[i] !== QUOTE; i++) if (run[i] === BACKSLASH) i++
  return run[i + 1] === CLOSE_BRACE ? i + 2 : -1
}

const isNameByte = (byte: number | undefined) => byte === 0x5f || (byte !== undefined && byte >= 0x61 && byte <= 0x7a)
