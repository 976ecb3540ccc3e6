// Sinks that answers are written to; here the HTTP response, whose reader may leave or stop reading at any moment.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Headers, Sink } from '../call.ts'
import { HEADERS } from '../contract.ts'
import type { Api } from '../engine-routes.ts'
import { ERROR_SHAPES } from '../error-shapes.ts'
import { type GatewayError, retryAfterSeconds } from '../errors.ts'
import { writeLent } from './lent.ts'

/** What an `HttpSink` must know of its request. */
export interface HttpSinkOptions {
  /** What it adds to every head: request id, cap, CORS. */
  readonly headers: Headers
  /** Whose words an error is told in. @default chunks */
  readonly api?: Api
  /** A reader that takes nothing for so long after the end is cut off. */
  readonly stalledMs: number
}

/** A sink over a hijacked HTTP response. */
export class HttpSink implements Sink {
  readonly #response: ServerResponse
  readonly #stalledMs: number
  readonly #api: Api
  /** What every head gets, until it has gone. */
  #headers: Headers | undefined
  #ended = false
  #streaming = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined
  /** The socket itself, once an event stream in chunks has begun on it: our frames go there without being framed again. */
  #socket: Socket | undefined
  #corked = false
  /** Waits for the drain of a socket that is full. */
  #drained: (() => void) | undefined
  writeFrames: ((frames: Buffer) => boolean) | undefined

  constructor(response: ServerResponse, options: HttpSinkOptions) {
    this.#response = response
    this.#stalledMs = options.stalledMs
    this.#api = options.api ?? 'chunks'
    this.#headers = options.headers
    // the response's close, not the request's: the latter fires as soon as a POST body has been read
    response.on('close', () => {
      if (this.#drained !== undefined) this.#socket?.off('drain', this.#drained)
      if (!this.#ended) this.#onGone?.()
    })
    // a reader that vanishes in the middle of a write is told of by 'close'; an unheard 'error' would end the process
    response.on('error', destroy)
  }

  get gone(): boolean {
    return this.#ended || this.#response.destroyed
  }

  get headSent(): boolean {
    return this.#response.headersSent
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  head(status: number, headers: Headers): void {
    this.#streaming = headers['content-type'] === 'text/event-stream'
    this.#response.writeHead(status, { ...this.#headers, ...headers })
    this.#headers = undefined
    if (this.#streaming) this.#startStream()
  }

  /**
   * Takes the socket over, so that chunks reach it as they are, and gathers the head with the first of them. A response
   * that waits behind another (pipelining) has no socket yet, one for HTTP/1.0 has no chunks: those stay with Node.
   */
  #startStream(): void {
    const { socket, chunkedEncoding } = this.#response
    if (socket !== null && chunkedEncoding) {
      this.#socket = socket
      this.writeFrames = (frames) => this.gone || writeLent(socket, frames) || this.#awaitDrain(socket)
      this.hold()
    }
    this.#response.flushHeaders()
  }

  hold(): void {
    if (this.#corked || this.#socket === undefined) return
    this.#socket.cork()
    this.#corked = true
    process.nextTick(() => this.flush())
  }

  flush(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#socket?.uncork()
  }

  write(bytes: Buffer): boolean {
    // a chunk of no bytes would end the answer
    if (this.gone || bytes.length === 0) return true
    // Node may keep the bytes for later; they are only lent, so it gets its own
    const [to, own] = this.#socket === undefined ? [this.#response, Buffer.from(bytes)] : [this.#socket, toFrame(bytes)]
    return to.write(own) || this.#awaitDrain(to)
  }

  /** Listens for the drain only while there is one to come: most streams never fill their socket. */
  #awaitDrain(to: Socket | ServerResponse): false {
    if (this.#drained !== undefined) return false
    this.#drained = () => {
      this.#drained = undefined
      this.#onDrain?.()
    }
    to.once('drain', this.#drained)
    return false
  }

  end(): void {
    if (this.gone) return
    this.#ended = true
    this.#response.end()
    this.flush()
    if ((this.#socket ?? this.#response).writableLength > 0) {
      this.#response.setTimeout(this.#stalledMs, () => this.#response.destroy())
    }
  }

  fail(error: GatewayError, sequence = 0): void {
    if (this.gone) return
    failAnswer(this, error, this.#headers?.[HEADERS.requestId], {
      api: this.#api,
      streaming: this.#streaming,
      sequence,
      cut: () => {
        this.#ended = true
        this.#response.destroy()
      }
    })
  }
}

/** What `failAnswer` must know of an answer besides its sink. */
export interface FailingAnswer {
  /** Whose words the error is said in. */
  readonly api: Api
  readonly streaming: boolean
  /** How many events of the answer have gone before. */
  readonly sequence: number
  /** Breaks the connection. */
  readonly cut: () => void
}

/**
 * Ends an answer over HTTP with an error: a status and JSON before the head, an error event after it in an event stream.
 * Half a JSON body, or a reader that takes nothing, is cut: only a broken connection tells that the answer is not whole.
 */
export function failAnswer(
  sink: Sink,
  error: GatewayError,
  requestId: string | undefined,
  { api, streaming, sequence, cut }: FailingAnswer
): void {
  const shape = ERROR_SHAPES[api]
  if (!sink.headSent) {
    const retryAfter = retryAfterSeconds(error)
    const json = Buffer.from(JSON.stringify(shape.body(error, requestId)))
    sink.head(error.status, {
      'content-type': 'application/json',
      'content-length': String(json.length),
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) })
    })
    sink.write(json)
    sink.end()
  } else if (streaming && error.code !== 'slow_reader') {
    sink.write(Buffer.from(shape.event(error, sequence)))
    sink.end()
  } else cut()
}

function destroy(this: ServerResponse): void {
  this.destroy()
}

/** One HTTP/1.1 chunk. */
export function toFrame(bytes: Buffer): Buffer {
  const size = `${bytes.length.toString(16)}\r\n`
  const frame = Buffer.allocUnsafe(size.length + bytes.length + 2)
  frame.write(size, 0, 'latin1')
  bytes.copy(frame, size.length)
  frame.write('\r\n', size.length + bytes.length, 'latin1')
  return frame
}
