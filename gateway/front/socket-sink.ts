// A sink over a client's own socket: the head and the chunks of an answer, framed here and gathered into few writes.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Headers, Sink } from '../call.ts'
import { HEADERS } from '../contract.ts'
import type { Api } from '../engine-routes.ts'
import type { GatewayError } from '../errors.ts'
import { writeLent } from '../stream/lent.ts'
import { failAnswer, toFrame } from '../stream/sinks.ts'

/** What all answers of one gateway have in common. */
export interface AnswerStyle {
  readonly keepAliveSeconds: number
  /** A reader that takes nothing for so long after the end is cut off. */
  readonly stalledMs: number
  /** The `Date` of a response that begins now. */
  readonly date: () => string
}

/** What one answer has of its own. */
export interface AnswerForm {
  /** What every head gets: request id, cap, CORS. */
  readonly headers: Headers
  /** Whose shapes the answer has. */
  readonly api: Api
}

/** Told when an answer has ended. */
export interface AnswerListener {
  /** The socket was handed the last byte, and is free for the next answer. */
  onAnswered(): void
}

/** A visible character, a space or a tab: what else a value holds could end its line. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** What answers gather in, one at a time and never beyond a tick: their bytes are copied out of it when they leave. */
const scratch = Buffer.allocUnsafeSlow(65_536)
let gathering: SocketSink | undefined
let gathered = 0

export class SocketSink implements Sink {
  readonly #socket: Socket
  /** Nothing more can be sent: all has been, it was cut, or the socket has closed. */
  #over = false
  readonly #api: Api
  readonly #style: AnswerStyle
  readonly #listener: AnswerListener
  /** What every head gets, until it has gone. */
  #headers: Headers | undefined
  #headSent = false
  #chunked = false
  #streaming = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined

  constructor(socket: Socket, { headers, api }: AnswerForm, style: AnswerStyle, listener: AnswerListener) {
    this.#socket = socket
    this.#headers = headers
    this.#api = api
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
    this.#chunked = headers['content-length'] === undefined
    const head = toHead(status, { ...this.#headers, ...headers }, this.#style, this.#chunked)
    this.#headSent = true
    this.#streaming = headers['content-type'] === 'text/event-stream'
    this.#headers = undefined
    this.hold()
    gathered += scratch.write(head, gathered, 'latin1')
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
    failAnswer(this, error, this.#headers?.[HEADERS.requestId], {
      api: this.#api,
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

/** A response's head as Node's own server writes it. */
function toHead(status: number, headers: Headers, style: AnswerStyle, chunked: boolean): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  for (const name in headers) {
    const value = headers[name] as string
    if (!FIELD_VALUE.test(value)) throw new Error(`the response header ${name} has a character that no header may have`)
    head += `${name}: ${value}\r\n`
  }
  head += `Date: ${style.date()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${style.keepAliveSeconds}\r\n`
  return chunked ? `${head}Transfer-Encoding: chunked\r\n\r\n` : `${head}\r\n`
}
