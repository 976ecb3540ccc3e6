// Pure framing of server-sent events: where events end in a byte stream that may be cut anywhere, and how ours are written.

const LF = 0x0a
const CR = 0x0d

/** Headers of every event stream: the three that proxies look at so that they neither buffer nor transform. */
export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
}

/** What keeps an idle stream open; a comment, which every client skips. */
export const HEARTBEAT = Buffer.from(': heartbeat\n\n')

/** The last event of an OpenAI stream. */
export const DONE = Buffer.from('data: [DONE]\n\n')

/**
 * The parts of the whole event in `run` from `start` to `end` with an `id:` as its last field: of two the last one counts,
 * so an engine that numbers its events by itself confuses nobody.
 */
export function withEventId(run: Buffer, start: number, end: number, id: number): [Buffer, Buffer] {
  const blank = run[end - 2] === CR ? 2 : 1
  return [run.subarray(start, end - blank), Buffer.from(`id: ${id}\n\n`)]
}

/**
 * The index after the blank line that ends the event which `bytes` continues at `from`, or -1 if it does not end before
 * `limit`. A line ends with LF or CRLF (https://html.spec.whatwg.org/multipage/server-sent-events.html; a lone CR, which
 * nobody sends, is not a line end).
 */
export function findEventEnd(bytes: Buffer, from: number, limit: number = bytes.length): number {
  let at = bytes.indexOf(LF, from)
  while (at !== -1 && at + 1 < limit) {
    const next = bytes[at + 1]
    if (next === LF) return at + 2
    if (next === CR && at + 2 < limit && bytes[at + 2] === LF) return at + 3
    at = bytes.indexOf(LF, at + 1)
  }
  return -1
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/** Where the first event of a stream begins: behind a byte order mark, which the standard has a reader skip. */
export const skipMark = (run: Buffer, start: number): number =>
  startsWith(run, start, BYTE_ORDER_MARK) ? start + BYTE_ORDER_MARK.length : start

const DATA_FIELD = Buffer.from('data:')
const DATA = Buffer.from('data: ')
const SPACE = 0x20

/**
 * The data of the event that stands in `run` from `start` to `end`, undefined where it has none: a part of `run` where it
 * is one line, as every engine writes it, or else its lines joined as the standard says.
 */
export function dataOf(run: Buffer, start: number, end: number): Buffer | undefined {
  let data: Buffer | undefined
  for (let at = start, next = at; at < end; at = next) {
    next = findNextLine(run, at, end)
    if (!startsWith(run, at, DATA_FIELD)) continue
    const value = fieldValueOf(run, at + DATA_FIELD.length, next)
    data = data === undefined ? value : Buffer.concat([data, Buffer.from([LF]), value])
  }
  return data
}

function findNextLine(run: Buffer, at: number, end: number): number {
  const lineEnd = run.indexOf(LF, at)
  return lineEnd === -1 || lineEnd >= end ? end : lineEnd + 1
}

/** The value of a field that begins behind its colon, at `at`, and whose line ends before `next`. */
function fieldValueOf(run: Buffer, at: number, next: number): Buffer {
  const from = at + (run[at] === SPACE ? 1 : 0)
  const to = next - (run[next - 2] === CR ? 2 : 1)
  return run.subarray(from, Math.max(from, to))
}

/** The data of an event as text; undefined where it has none. */
export function readData(run: Buffer, start: number, end: number): string | undefined {
  // as every engine writes it: one line, its end and that of the event both LF
  if (run.indexOf(LF, start) === end - 2 && run[end - 3] !== CR && startsWith(run, start, DATA))
    return run.toString('utf8', start + 6, end - 2)
  return dataOf(run, start, end)?.toString('utf8')
}

const EVENT = Buffer.from('event: ')

/**
 * The index after the name in an event's first line, `event: NAME`, or -1 where it begins otherwise; the name stands from
 * `start + 7`. Bytes instead of a text, because it is asked for each event of a stream.
 */
export function findNameEnd(run: Buffer, start: number, end: number): number {
  if (!startsWith(run, start, EVENT)) return -1
  const at = run.indexOf(LF, start)
  if (at === -1 || at >= end) return -1
  return run[at - 1] === CR ? at - 1 : at
}

const EVENT_FIELD = Buffer.from('event:')

/**
 * The name of an event, in whichever of its lines it stands, and of two the last one; empty where it has none. A walk over all
 * lines, for events that begin otherwise than with it.
 */
export function readName(run: Buffer, start: number, end: number): string {
  let name = ''
  for (let at = start, next = at; at < end; at = next) {
    next = findNextLine(run, at, end)
    if (startsWith(run, at, EVENT_FIELD)) name = fieldValueOf(run, at + EVENT_FIELD.length, next).toString('latin1')
  }
  return name
}

const CLOSE_BRACE = 0x7d

/** Whether the data of an event, as every engine writes it, ends as an object does: a glance at what is not parsed. */
export function endsJson(run: Buffer, end: number): boolean {
  return run[end - 3] === CLOSE_BRACE && run[end - 2] === LF
}

/** How many bytes stand before the name in an event's first line. */
export const NAME_AT = EVENT.length

export function startsWith(run: Buffer, start: number, head: Buffer): boolean {
  for (let i = 0; i < head.length; i++) if (run[start + i] !== head[i]) return false
  return true
}

/** Is told of each whole event: it stands in `run` from `start` to `end`, its blank line included. */
export interface EventVisitor {
  /** False stops the walk: nothing after this event is looked at any more. */
  onEvent(run: Buffer, start: number, end: number): boolean
}

/** Cuts a byte stream into whole events and holds at most one unfinished event, bounded. */
export class EventCutter {
  readonly #maxEventBytes: number
  #held: Buffer | undefined
  #heldBytes = 0

  /** @param maxEventBytes an event that grows beyond so many bytes is refused */
  constructor(maxEventBytes: number) {
    this.#maxEventBytes = maxEventBytes
  }

  /** Bytes of an event whose end has not come yet. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Visits each event that `bytes` completes, from `start` to `limit`. Events that begin in `bytes` are visited where they
   * stand, not copied, so a visitor that keeps one must copy it. False: an event exceeds the bound, and the stream can't
   * be relayed any more.
   */
  push(bytes: Buffer, visitor: EventVisitor, start = 0, limit: number = bytes.length): boolean {
    if (this.#heldBytes === 0) return this.#walk(bytes, start, start, limit, visitor)
    // an end may straddle the border: LF LF or LF CR LF, so look again at the last two held bytes
    const lookFrom = Math.max(0, this.#heldBytes - 2)
    const all = this.#append(bytes, start, limit)
    if (findEventEnd(all, lookFrom) === -1) return this.#heldBytes <= this.#maxEventBytes
    this.#held = undefined
    this.#heldBytes = 0
    return this.#walk(all, 0, lookFrom, all.length, visitor)
  }

  #walk(bytes: Buffer, from: number, lookFrom: number, limit: number, visitor: EventVisitor): boolean {
    let start = from
    for (let end = findEventEnd(bytes, lookFrom, limit); end !== -1; end = findEventEnd(bytes, start, limit)) {
      if (end - start > this.#maxEventBytes) return false
      if (!visitor.onEvent(bytes, start, end)) return true
      start = end
      if (start === limit) return true
    }
    if (start < limit) this.#append(bytes, start, limit)
    return limit - start <= this.#maxEventBytes
  }

  /** Grows by doubling, so that an event that comes byte by byte costs linear time. */
  #append(bytes: Buffer, start: number, end: number): Buffer {
    const needed = this.#heldBytes + end - start
    if (this.#held === undefined || this.#held.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(512, needed * 2))
      if (this.#held !== undefined) this.#held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    bytes.copy(this.#held, this.#heldBytes, start, end)
    this.#heldBytes = needed
    return this.#held.subarray(0, needed)
  }
}
