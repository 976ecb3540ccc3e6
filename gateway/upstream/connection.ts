// One plain HTTP connection to an engine: idle, or carrying one exchange whose chunks are told as they came.
import { connect, type Socket } from 'node:net'
import type { EngineControl, EngineHandler, Headers } from '../call.ts'
import { RefusedResponse, ResponseParser, type ResponseVisitor } from './response-parser.ts'

/** One request on a connection. */
export interface Exchange {
  readonly head: string
  readonly body: Buffer
  readonly handler: EngineHandler
  /** The response is not one that is read here, and nothing of it was told. */
  readonly onRefused: (cause: RefusedResponse) => void
  /** A connection that had been idle broke before a byte of a response: the engine had given it up already. */
  readonly onStale: () => void
}

export interface ConnectionOptions {
  readonly connectMs: number
  readonly onIdle: (connection: Connection) => void
}

/** A larger body is not copied once more only to leave together with its head. */
const MOST_JOINED_BYTES = 16_384

/** What every connection reads into, one after the other: bytes are lent to handlers for the time of one read only. */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536)

export class Connection implements ResponseVisitor, EngineControl {
  readonly socket: Socket
  readonly #parser = new ResponseParser(this)
  readonly #onIdle: (connection: Connection) => void
  #exchange: Exchange | undefined
  #headSeen = false
  #exchanges = 0
  #sweeps = 0

  constructor(origin: URL, { connectMs, onIdle }: ConnectionOptions) {
    this.#onIdle = onIdle
    this.socket = connect({
      host: origin.hostname.replace(/^\[|\]$/g, ''),
      port: Number(origin.port || 80),
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (length: number, bytes: Uint8Array) => this.#read(bytes as Buffer, length)
      }
    })
    this.socket.setTimeout(connectMs)
    this.socket.on('timeout', () => {
      this.socket.destroy(new Error('connecting to the engine took too long'))
    })
    this.socket.once('connect', () => this.socket.setTimeout(0))
    this.socket.on('error', (cause) => this.#lose(cause))
    this.socket.on('close', () => this.#lose(new Error('the engine closed the connection')))
  }

  /** Sends one request; its handler is told what comes back. */
  start(exchange: Exchange): void {
    this.#exchange = exchange
    this.#exchanges++
    this.#headSeen = false
    this.#parser.reset()
    if (this.socket.connecting) {
      this.socket.once('connect', () => this.#send(exchange))
      return
    }
    this.socket.ref()
    this.#send(exchange)
  }

  /** Sends nothing for a client that left while the connection was made: its handler aborts at the start. */
  #send(exchange: Exchange): void {
    exchange.handler.onStart(this)
    if (this.#exchange !== exchange) return
    const { head, body } = exchange
    if (body.length <= MOST_JOINED_BYTES) {
      // one buffer leaves by `write`, which costs less than the `writev` of two
      const request = Buffer.allocUnsafe(head.length + body.length)
      body.copy(request, request.write(head, 0, 'latin1'))
      this.socket.write(request)
      return
    }
    this.socket.cork()
    this.socket.write(head, 'latin1')
    this.socket.write(body)
    this.socket.uncork()
  }

  /** Waits for its next request, or for its end. */
  rest(): void {
    // a slow reader's last chunk may have paused it
    this.socket.resume()
    this.socket.unref()
    this.#sweeps = 0
  }

  /** Counts a sweep of the idle ones; true when this one has seen `most`. */
  grownOld(most: number): boolean {
    return ++this.#sweeps >= most
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  abort(): void {
    this.#exchange = undefined
    this.socket.destroy()
  }

  onHead(status: number, headers: Headers): void {
    this.#headSeen = true
    this.#exchange?.handler.onHead(status, headers)
  }

  onPayload(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): void {
    this.#exchange?.handler.onData(bytes, start, end, frameStart, frameEnd)
  }

  #read(bytes: Buffer, length: number): boolean {
    // kept aside: the exchange may be aborted while its bytes are told
    const handler = this.#exchange?.handler
    let refusal: Error | undefined
    try {
      this.#parser.push(bytes, length)
    } catch (cause) {
      refusal = cause as Error
    }
    handler?.onReadEnd()
    if (refusal !== undefined) this.#refuse(refusal)
    else if (this.#parser.done && this.#exchange !== undefined) this.#finish()
    return true
  }

  #finish(): void {
    const handler = this.#release()?.handler
    if (this.#parser.keepAlive && !this.socket.destroyed) this.#onIdle(this)
    else this.socket.destroy()
    handler?.onEnd()
  }

  /** A response that is not read here: by another client before anything of it was told, as an error after that. */
  #refuse(cause: Error): void {
    const exchange = this.#release()
    this.socket.destroy()
    if (cause instanceof RefusedResponse && !this.#headSeen) exchange?.onRefused(cause)
    else exchange?.handler.onError(cause)
  }

  #lose(cause: Error): void {
    const exchange = this.#release()
    if (this.#exchanges > 1 && this.#parser.untouched) exchange?.onStale()
    else exchange?.handler.onError(cause)
  }

  #release(): Exchange | undefined {
    const exchange = this.#exchange
    this.#exchange = undefined
    return exchange
  }
}
