// Reads what the events of one OpenAI answer in chunks mean, and parses JSON only where the bytes alone can't tell.
import { endsWith, findTail, keepTail, readTail, shareTail } from './chunk-tails.ts'
import { DONE, readData, startsWith } from './sse.ts'
import type { EventKind, StreamReader } from './stream-reader.ts'
import { type SaidUsage, toUsage, type Usage } from './usage.ts'

const CLOSE_BRACE = 0x7d
const COLON = 0x3a
const QUOTE = 0x22
const LOWER_D = 0x64

/** An event larger than this is no token. */
const MAX_EVENT_BYTES = 1_048_576
/** Role chunks are small. */
const MAX_EARLY_BYTES = 65_536

/** The fields of a chunk that matter here; everything else passes unread. */
interface Chunk {
  readonly choices?: readonly Choice[]
  readonly usage?: SaidUsage | null
  readonly error?: { readonly message?: unknown; readonly code?: unknown } | string
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
export class AnswerReader implements StreamReader {
  // what a token touches stands first
  /** How a plain output event of this stream ends, learnt from the first one: `"finish_reason":null…`. */
  #plainTail: Buffer | undefined
  outputEvents = 0
  usage: Usage | undefined
  /** The newest finish reason; undefined until a choice has finished. */
  finishReason: string | undefined
  errorStatus = 500
  errorMessage = ''
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
      const { message, code } = typeof chunk.error === 'string' ? { message: chunk.error, code: 500 } : chunk.error
      this.errorMessage = String(message ?? '').slice(0, 500)
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
   * What an event is that ends as one of another answer did: a role alone, a delta that begins with a text, or a finish.
   * Undefined tells nothing. A first token waits for this, and parsing takes longer than all else that it waits for here.
   */
  #glanceAtPlain(run: Buffer, start: number, end: number): EventKind | undefined {
    if (this.#choices > 1 || !startsWith(run, start, CHUNK_START)) return undefined
    const tail = findTail(run, start, end)
    const delta = tail === undefined ? -1 : findDelta(run, start, end)
    if (tail === undefined || delta === -1) return undefined
    const isEmpty = isEmptyDelta(run, delta)
    if (!isEmpty && !isText(run, delta)) return undefined
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
const DELTA = Buffer.from('"delta":{')
const ROLE_ALONE = Buffer.from('"role":"assistant","content":""}')
const NO_CONTENT = Buffer.from('"content":""}')
const ROLE = Buffer.from('"role"')
/** An id, a date and the name of a model come before the delta; a longer name has its events parsed. */
const MOST_BYTES_BEFORE = 512

/** Whether a delta has no field, no text, or nothing but the role. */
const isEmptyDelta = (run: Buffer, at: number) =>
  run[at] === CLOSE_BRACE || startsWith(run, at, ROLE_ALONE) || startsWith(run, at, NO_CONTENT)

/** Where the first field of the delta begins; -1 where there is none near. No text of JSON holds quotes as these are. */
function findDelta(run: Buffer, start: number, end: number): number {
  const limit = Math.min(end, start + MOST_BYTES_BEFORE)
  for (let at = start; at < limit; at++)
    if (run[at] === QUOTE && run[at + 1] === LOWER_D && startsWith(run, at, DELTA)) return at + DELTA.length
  return -1
}

/** Whether a field begins at `at` that is a text with a character in it, and not the role. */
function isText(run: Buffer, at: number): boolean {
  if (run[at] !== QUOTE || startsWith(run, at, ROLE)) return false
  let end = at + 1
  while (isNameByte(run[end])) end++
  return run[end] === QUOTE && run[end + 1] === COLON && run[end + 2] === QUOTE && run[end + 3] !== QUOTE
}

const isNameByte = (byte: number | undefined) => byte === 0x5f || (byte !== undefined && byte >= 0x61 && byte <= 0x7a)
