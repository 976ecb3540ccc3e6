// A strict HTTP/1.1 response parser (RFC 9112) for event streams: what is ambiguous or unusual is refused, not guessed.
import type { Headers } from '../call.ts'
import { MAX_HEAD_BYTES, STREAM_HEADERS, skipStreamHead } from './stream-head.ts'

/** Is told of the payload of a response; offsets are into `bytes`, which is only lent. */
export interface PayloadVisitor {
  /**
   * Payload from `start` to `end`. Where it is exactly one whole chunk, `frameStart` and `frameEnd` are the chunk with its
   * size line and line ends; else both are -1.
   */
  onPayload(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): void
}

/** Is told of the parts of one response. */
export interface ResponseVisitor extends PayloadVisitor {
  onHead(status: number, headers: Headers): void
}

/** What the parser can't read, or will not: the connection is of no use any more. */
export class RefusedResponse extends Error {
  constructor(reason: string) {
    super(`response refused: ${reason}`)
    this.name = 'RefusedResponse'
  }
}

/** Eight hex digits: no chunk of an event stream comes near 4 GiB. */
const MAX_SIZE_DIGITS = 8

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const STATUS_LINE = /^HTTP\/1\.1 [2-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?(?=\r\n|$)/
/**
 * All header lines in one look: names are tokens, so that a folded line, which begins with a space, is none; values are
 * visible characters, spaces, tabs and obs-text, above all no CR, LF or NUL.
 */
const FIELD_LINES = /^(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/
/** Fields that say how long the message is or who may see it: twice is ambiguous, equal or not. */
const SINGLE_FIELDS = new Set(['content-length', 'transfer-encoding', 'content-type', 'content-encoding'])

type State = 'head' | 'size' | 'data' | 'data-end' | 'last' | 'length' | 'done'

/** Reads one response at a time; `reset` makes it ready for the next on the same connection. */
export class ResponseParser {
  readonly #visitor: ResponseVisitor
  #state: State = 'head'
  #head: Buffer | undefined
  /** Bytes that the current chunk or body still lacks. */
  #left = 0
  #sizeDigits = 0
  /** How far the two bytes of a line end have come. */
  #lineEnd = 0
  #keepAlive = true

  constructor(visitor: ResponseVisitor) {
    this.#visitor = visitor
  }

  /** The whole response has been read, its last chunk included. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** No byte of a response has come yet. */
  get untouched(): boolean {
    return this.#state === 'head' && this.#head === undefined
  }

  /** The payload is chunks, and none is half here. */
  get betweenChunks(): boolean {
    return this.#state === 'size' && this.#sizeDigits === 0 && this.#lineEnd === 0
  }

  /** The connection may be used again after this response: the engine keeps it open, and has sent nothing more on it. */
  get keepAlive(): boolean {
    return this.#keepAlive
  }

  reset(): void {
    this.#state = 'head'
    this.#head = undefined
    this.#keepAlive = true
  }

  /**
   * Reads `bytes` from `from` to `length`. What comes after the response's end is not a part of it: it is left unread, and the
   * connection is of no use any more.
   * @throws RefusedResponse for whatever is not plainly a response
   */
  push(bytes: Buffer, length: number, from = 0): void {
    let at = from
    while (at < length) {
      switch (this.#state) {
        case 'head':
          at = this.#readHead(bytes, at, length)
          break
        case 'size':
          at = this.#readChunkStart(bytes, at, length)
          break
        case 'data':
          at = this.#readPayload(bytes, at, length, 'data-end')
          break
        case 'data-end':
          at = this.#readLineEnd(bytes, at, 'size')
          break
        case 'last':
          at = this.#readLineEnd(bytes, at, 'done')
          break
        case 'length':
          at = this.#readPayload(bytes, at, length, 'done')
          break
        case 'done':
          this.#keepAlive = false
          return
      }
    }
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const plainEnd = this.#head === undefined ? skipStreamHead(bytes, at, length) : -1
    if (plainEnd === -1) return this.#readAnyHead(bytes, at, length)
    this.#expectChunks()
    this.#visitor.onHead(200, STREAM_HEADERS)
    return plainEnd
  }

  #readAnyHead(bytes: Buffer, at: number, length: number): number {
    const before = this.#head?.length ?? 0
    const piece = bytes.subarray(at, length)
    const all = this.#head === undefined ? piece : Buffer.concat([this.#head, piece])
    const end = all.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end > MAX_HEAD_BYTES || (end === -1 && all.length > MAX_HEAD_BYTES))
      throw new RefusedResponse('its head is too large')
    if (end === -1) {
      this.#head = Buffer.from(all)
      return length
    }
    this.#head = all.subarray(0, end)
    this.#takeHead(all.toString('latin1', 0, end))
    return at + end + 4 - before
  }

  #takeHead(text: string): void {
    const statusLine = STATUS_LINE.exec(text)?.[0]
    if (statusLine === undefined) throw new RefusedResponse('its status line is not HTTP/1.1 with a final status')
    const lines = text.slice(statusLine.length)
    if (!FIELD_LINES.test(lines)) throw new RefusedResponse('a header line is malformed or folded')
    const status = Number(statusLine.slice(9, 12))
    const headers = readFields(lines)
    this.#keepAlive = !/(^|,)\s*close\s*(,|$)/i.test(headers.connection ?? '')
    this.#state = this.#chooseBody(status, headers)
    this.#visitor.onHead(status, headers)
  }

  #chooseBody(status: number, headers: Headers): State {
    const encoding = headers['transfer-encoding']
    const length = headers['content-length']
    if (encoding !== undefined && length !== undefined)
      throw new RefusedResponse('it has both Transfer-Encoding and Content-Length')
    if (status === 204 || status === 304) return 'done'
    if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw new RefusedResponse('its Transfer-Encoding is not chunked alone')
      return this.#expectChunks()
    }
    if (length === undefined || !/^\d{1,15}$/.test(length)) throw new RefusedResponse('it does not say where it ends')
    this.#left = Number(length)
    return this.#left === 0 ? 'done' : 'length'
  }

  #expectChunks(): State {
    this.#left = 0
    this.#sizeDigits = 0
    this.#state = 'size'
    return 'size'
  }

  /** Takes a whole chunk in one go where it is all here; else the size line byte by byte. */
  #readChunkStart(bytes: Buffer, at: number, length: number): number {
    if (this.betweenChunks) {
      const frameEnd = takeWholeChunk(bytes, at, length, this.#visitor)
      if (frameEnd !== -1) return frameEnd
    }
    for (let i = at; i < length; i++) {
      const byte = bytes[i] as number
      const digit = this.#lineEnd === 0 ? hexValue(byte) : -1
      if (digit !== -1) {
        if (++this.#sizeDigits > MAX_SIZE_DIGITS) throw new RefusedResponse('a chunk is too large')
        this.#left = this.#left * 16 + digit
      } else if (this.#lineEnd === 0 && byte === CR && this.#sizeDigits > 0) this.#lineEnd = 1
      else if (this.#lineEnd === 1 && byte === LF) {
        this.#lineEnd = 0
        this.#sizeDigits = 0
        this.#state = this.#left === 0 ? 'last' : 'data'
        return i + 1
      } else throw new RefusedResponse('a chunk size is not plain hex; extensions are not taken')
    }
    return length
  }

  #readPayload(bytes: Buffer, at: number, length: number, next: State): number {
    const end = Math.min(length, at + this.#left)
    this.#left -= end - at
    if (this.#left === 0) this.#state = next
    this.#visitor.onPayload(bytes, at, end, -1, -1)
    return end
  }

  /** After the last chunk comes an empty line at once: trailers are not taken. */
  #readLineEnd(bytes: Buffer, at: number, next: State): number {
    if (bytes[at] !== (this.#lineEnd === 0 ? CR : LF))
      throw new RefusedResponse('a chunk does not end where it should, or a trailer follows')
    this.#lineEnd = this.#lineEnd === 0 ? 1 : 0
    if (this.#lineEnd === 0) this.#state = next
    return at + 1
  }
}

/**
 * Tells `visitor` of the chunk that begins at `at`, where every byte of it is here and it is not the last. Needs nothing
 * but those bytes, so that a connection between two chunks can do without its parser.
 *
 * @returns the index after the chunk; -1 where it is not taken
 */
export function takeWholeChunk(bytes: Buffer, at: number, length: number, visitor: PayloadVisitor): number {
  let size = 0
  let i = at
  for (
    let digit = hexValue(bytes[i]);
    digit !== -1 && i - at < MAX_SIZE_DIGITS && i < length;
    digit = hexValue(bytes[i])
  ) {
    size = size * 16 + digit
    i++
  }
  const start = i + 2
  const end = start + size
  if (i === at || size === 0 || end + 2 > length) return -1
  if (bytes[i] !== CR || bytes[i + 1] !== LF || bytes[end] !== CR || bytes[end + 1] !== LF) return -1
  visitor.onPayload(bytes, start, end, at, end + 2)
  return end + 2
}

/** The fields of header lines that are well formed, each after its CRLF. */
function readFields(lines: string): Headers {
  const headers: Record<string, string> = Object.create(null)
  let start = 2
  while (start < lines.length) {
    const next = lines.indexOf('\r\n', start)
    const end = next === -1 ? lines.length : next
    const colon = lines.indexOf(':', start)
    const name = lines.slice(start, colon).toLowerCase()
    const value = sliceTrimmed(lines, colon + 1, end)
    if (headers[name] === undefined) headers[name] = value
    else if (SINGLE_FIELDS.has(name)) throw new RefusedResponse(`the header ${name} comes twice`)
    else headers[name] += `, ${value}`
    start = end + 2
  }
  return headers
}

/** The text from `start` to `end` without the spaces around it. */
function sliceTrimmed(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && text.charCodeAt(from) === SPACE) from++
  while (to > from && text.charCodeAt(to - 1) === SPACE) to--
  return text.slice(from, to)
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
