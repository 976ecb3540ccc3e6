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

const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const NO_HEADERS: Headers = {}

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
    const chunked = headers['content-length'] === undefined
    this.hold()
    gathered = writeHead(gathered, status, this.#headers ?? NO_HEADERS, headers, this.#style, chunked)
    this.#chunked = chunked
    this.#headSent = true
    this.#streaming = headers['content-type'] === 'text/event-stream'
    this.#headers = undefined
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

/**
 * Writes a response's head from `at` on, as Node's own server writes it; returns the index after it. Of two headers with one
 * name that of the answer counts. Throws for what would end its line, and for a head that does not fit.
 */
function writeHead(
  at: number,
  status: number,
  own: Headers,
  headers: Headers,
  style: AnswerStyle,
  chunked: boolean
): number {
  let end = at
  if (status === 200) end = writeText(end, 'HTTP/1.1 200 OK\r\n')
  else end = writeText(end, `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`)
  for (const name in own) if (headers[name] === undefined) end = writeField(end, name, own[name] as string)
  for (const name in headers) end = writeField(end, name, headers[name] as string)
  end = writeField(end, 'Date', style.date())
  end = writeField(end, 'Connection', 'keep-alive')
  end = writeField(end, 'Keep-Alive', `timeout=${style.keepAliveSeconds}`)
  if (chunked) end = writeField(end, 'Transfer-Encoding', 'chunked')
  end = writeText(end, '\r\n')
  if (end <= scratch.length) return end
  throw new Error('the response head is too large')
}

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
