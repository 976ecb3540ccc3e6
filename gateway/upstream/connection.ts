// One plain HTTP connection to an engine: idle, or carrying one exchange whose chunks are told as they came.
import { connect, type Socket } from 'node:net'
import type { EngineControl, EngineHandler, Headers } from '../call.ts'
import { RefusedResponse, ResponseParser, type ResponseVisitor, takeWholeChunk } from './response-parser.ts'

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

/** Who keeps connections; one object for all of them, because a few functions for each add up over thousands of streams. */
export interface ConnectionOwner {
  readonly connectMs: number
  /** The connection can carry its next exchange. */
  onIdle(connection: Connection): void
  /** An answer that had begun turned out to be one that is not read here. */
  onRefused(origin: string, cause: RefusedResponse): void
  onClose(connection: Connection): void
}

/** A larger body is not copied once more only to leave together with its head. */
const MOST_JOINED_BYTES = 16_384

/** What every connection reads into, one after the other: bytes are lent to handlers for the time of one read only. */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536)

export class Connection implements ResponseVisitor, EngineControl {
  // what a token touches stands first: of thousands of streams hardly any is in the processor's cache when its turn comes
  /** Who is told of the exchange that is under way. */
  #handler: EngineHandler | undefined
  /** The payload is chunks, and none is half here: whole ones need no parser. */
  #betweenChunks = false
  readonly #parser = new ResponseParser(this)
  readonly socket: Socket
  readonly origin: string
  readonly #owner: ConnectionOwner
  /** What was asked, until its answer has a head: nothing is asked again then, and a long answer holds no request. */
  #asked: Exchange | undefined
  #exchanges = 0
  #sweeps = 0

  /** @param origin such as `http://10.0.0.7:8000` */
  constructor(origin: string, owner: ConnectionOwner) {
    const { hostname, port } = new URL(origin)
    this.origin = origin
    this.#owner = owner
    this.socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 80),
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: this.#read.bind(this)
      }
    })
    const giveUp = () => this.socket.destroy(new Error('connecting to the engine took too long'))
    this.socket.setTimeout(owner.connectMs, giveUp)
    this.socket.once('connect', () => this.socket.setTimeout(0, giveUp))
    this.socket.on('error', (cause) => this.#lose(cause))
    this.socket.on('close', () => {
      owner.onClose(this)
      this.#lose(new Error('the engine closed the connection'))
    })
  }

  /** Sends one request; its handler is told what comes back. */
  start(exchange: Exchange): void {
    this.#asked = exchange
    this.#handler = exchange.handler
    this.#exchanges++
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
    if (this.#handler !== exchange.handler) return
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
    if (this.socket.isPaused()) this.socket.resume()
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
    this.#release()
    this.socket.destroy()
  }

  onHead(status: number, headers: Headers): void {
    this.#asked = undefined
    this.#handler?.onHead(status, headers)
  }

  onPayload(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): void {
    this.#handler?.onData(bytes, start, end, frameStart, frameEnd)
  }

  #read(length: number, lent: Uint8Array): boolean {
    const bytes = lent as Buffer
    // kept aside: the exchange may be aborted while its bytes are told
    const handler = this.#handler
    let at = 0
    let refusal: Error | undefined
    try {
      if (this.#betweenChunks) at = this.#takeWholeChunks(bytes, length)
      if (at < length) this.#parse(bytes, length, at)
    } catch (cause) {
      // of whoever was told, too: what one exchange stumbles over must end no other, and leave no lent bytes behind
      refusal = cause as Error
    }
    handler?.onReadEnd()
    if (refusal !== undefined) this.#refuse(refusal)
    // what an idle connection says is no answer, and tells nothing of answers
    else if (this.#handler === undefined) this.socket.destroy()
    else if (at < length && this.#parser.done) this.#finish()
    return true
  }

  /** How far whole chunks go. */
  #takeWholeChunks(bytes: Buffer, length: number): number {
    let at = 0
    while (at < length) {
      const next = takeWholeChunk(bytes, at, length, this)
      if (next === -1) break
      at = next
    }
    return at
  }

  #parse(bytes: Buffer, length: number, from: number): void {
    this.#betweenChunks = false
    this.#parser.push(bytes, length, from)
    this.#betweenChunks = this.#parser.betweenChunks
  }

  #finish(): void {
    const handler = this.#release()
    // behind a request that its engine answered without taking all of it the next one would wait
    const isFree = this.#parser.keepAlive && !this.socket.destroyed && this.socket.writableLength === 0
    if (isFree) this.#owner.onIdle(this)
    else this.socket.destroy()
    handler?.onEnd()
  }

  /** A response that is not read here: by another client before anything of it was told, as an error after that. */
  #refuse(cause: Error): void {
    const asked = this.#asked
    const handler = this.#release()
    this.socket.destroy()
    const isRefused = cause instanceof RefusedResponse
    if (isRefused && asked !== undefined) asked.onRefused(cause)
    else {
      if (isRefused) this.#owner.onRefused(this.origin, cause)
      handler?.onError(cause)
    }
  }

  #lose(cause: Error): void {
    const asked = this.#asked
    const handler = this.#release()
    if (this.#exchanges > 1 && this.#parser.untouched) asked?.onStale()
    else handler?.onError(cause)
  }

  #release(): EngineHandler | undefined {
    const handler = this.#handler
    this.#handler = undefined
    this.#asked = undefined
    return handler
  }
}
