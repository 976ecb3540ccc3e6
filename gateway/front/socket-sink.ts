// A sink over a client's own socket: the head and the chunks of an answer, framed here and gathered into few writes.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Call, Headers, Sink } from '../call.ts'
import { HEADERS } from '../contract.ts'
import type { GatewayError } from '../errors.ts'
import { writeLent } from '../stream/lent.ts'
import { failAnswer, toFrame } from '../stream/sinks.ts'

/** What all answers of one gateway have in common. */
export interface AnswerStyle {
  /** The value of `Keep-Alive`. */
  readonly keepAlive: string
  /** A reader that takes nothing for so long after the end is cut off. */
  readonly stalledMs: number
  /** The `Date` of a response that begins now. */
  readonly date: () => string
}

/** What one answer has of its own; its head names the request and the cap that was applied. */
export type AnswerForm = Pick<Call, 'id' | 'api' | 'maxTokens'>

/** Told when an answer has ended. */
export interface AnswerListener {
  /** The socket was handed the last byte, and is free for the next answer. */
  onAnswered(): void
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** What answers gather in, one at a time and never beyond a tick: their bytes are copied out of it when they leave. */
const scratch = Buffer.allocUnsafeSlow(65_536)
let gathering: SocketSink | undefined
let gathered = 0

export class SocketSink implements Sink {
  readonly #socket: Socket
  /** Nothing more can be sent: all has been, it was cut, or the socket has closed. */
  #over = false
  readonly #form: AnswerForm
  readonly #style: AnswerStyle
  readonly #listener: AnswerListener
  /** What else every head gets: CORS. */
  readonly #headers: Headers
  #headSent = false
  #chunked = false
  #streaming = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined

  constructor(socket: Socket, form: AnswerForm, headers: Headers, style: AnswerStyle, listener: AnswerListener) {
    this.#socket = socket
    this.#form = form
    this.#headers = headers
    this.#style = style
    this.#listener = listener
  }

  get gone(): boolean {
    return this.#over || this.#socket.destroyed
  }

  get headSent(): boolean {
    return this.#headSent
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  /** The socket has closed. */
  closed(): void {
    if (this.#over) return
    this.#over = true
    this.#onGone?.()
  }

  /** The socket has emptied. */
  drained(): void {
    if (!this.#over) this.#onDrain?.()
  }

  head(status: number, headers: Headers): void {
    if (this.gone) return
    const chunked = headers['content-length'] === undefined
    this.hold()
    gathered = this.#writeHead(gathered, status, headers, chunked)
    this.#chunked = chunked
    this.#headSent = true
    this.#streaming = headers['content-type'] === 'text/event-stream'
  }

  /**
   * Writes a response's head from `at` on, as Node's own server writes it; returns the index after it. Throws for what would
   * end a line, and for a head that does not fit.
   */
  #writeHead(at: number, status: number, headers: Headers, chunked: boolean): number {
    const { id, maxTokens } = this.#form
    const { date, keepAlive } = this.#style
    let end = status === 200 ? writeText(at, 'HTTP/1.1 200 OK\r\n') : writeText(at, toStatusLine(status))
    end = writeField(end, HEADERS.requestId, id)
    for (const name in this.#headers) end = writeField(end, name, this.#headers[name] as string)
    if (maxTokens !== undefined) end = writeField(end, HEADERS.maxTokens, String(maxTokens))
    for (const name in headers) end = writeField(end, name, headers[name] as string)
    end = writeField(end, 'Date', date())
    end = writeField(end, 'Connection', 'keep-alive')
    end = writeField(end, 'Keep-Alive', keepAlive)
    if (chunked) end = writeField(end, 'Transfer-Encoding', 'chunked')
    end = writeText(end, '\r\n')
    if (end <= scratch.length) return end
    throw new Error('the response head is too large')
  }

  hold(): void {
    if (gathering === this) return
    gathering?.flush()
    gathering = this
    gathered = 0
    process.nextTick(flushGathered)
  }

  write(bytes: Buffer): boolean {
    if (this.gone || bytes.length === 0) return true
    // the socket may keep the bytes until its reader takes them, and they are only lent
    return this.#chunked ? this.#send(toFrame(bytes)) : this.writeFrames(bytes)
  }

  writeFrames(frames: Buffer): boolean {
    if (this.#over) return true
    return gathering === this ? this.#send(frames) : writeLent(this.#socket, frames)
  }

  /** Writes bytes that the socket may keep; those that are gathered are copied anyway. */
  #send(bytes: Buffer): boolean {
    if (gathering !== this) return this.#socket.write(bytes)
    if (gathered + bytes.length <= scratch.length) {
      gathered += bytes.copy(scratch, gathered)
      return true
    }
    this.flush()
    return this.#socket.write(Buffer.from(bytes))
  }

  flush(): void {
    if (gathering !== this) return
    gathering = undefined
    if (gathered > 0 && !this.#socket.destroyed) writeLent(this.#socket, scratch.subarray(0, gathered))
  }

  end(): void {
    if (this.gone) return
    this.#over = true
    if (this.#chunked) this.#send(LAST_CHUNK)
    this.flush()
    this.#listener.onAnswered()
  }

  fail(error: GatewayError, sequence = 0): void {
    if (this.gone) return
    failAnswer(this, error, this.#headSent ? undefined : this.#form.id, {
      api: this.#form.api,
      streaming: this.#streaming,
      sequence,
      cut: () => {
        this.#over = true
        this.#socket.destroy()
      }
    })
  }
}

function flushGathered(): void {
  gathering?.flush()
}

const toStatusLine = (status: number) => `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`

/** Writes characters of one byte each. */
function writeText(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) scratch[at + i] = text.charCodeAt(i)
  return at + text.length
}

/** Visible characters, spaces and tabs: whatever else a value holds could end its line. */
function writeField(at: number, name: string, value: string): number {
  const start = writeText(writeText(at, name), ': ')
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff)
      throw new Error(`the response header ${name} has a character that no header may have`)
    scratch[start + i] = code
  }
  return writeText(start + value.length, '\r\n')
}
