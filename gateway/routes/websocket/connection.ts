// One open WebSocket: bounds what it may send, feels whether its peer lives, and is full while too much waits to leave.
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { GatewayError } from '../../errors.ts'
import type { Session, Stream, Wire } from './wire.ts'

/** Above so much the engines of a connection are paused, and below so much they go on. The kernel's buffers come on top. */
const HIGH_BYTES = 65_536
const LOW_BYTES = 16_384

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const CLOSE = { goingAway: 1001, unsupported: 1003, policy: 1008 } as const

const TEXT = { binary: false, compress: false } as const

export interface ConnectionOptions {
  readonly messagesPerSecond: number
  /** A connection takes nothing new after so long; it closes once its streams have ended. */
  readonly maxConnectionMs: number
  /** A ping goes out so often. */
  readonly pingMs: number
  /** A peer that answers no ping for so long is dead, and one that takes nothing for so long as good as dead. */
  readonly stalledMs: number
  /** A monotonic clock in ms. */
  readonly now: () => number
}

/** A socket that tells when its end begins: a peer may say goodbye and still keep its TCP connection. */
export class TellingSocket extends WebSocket {
  onClosing: (() => void) | undefined

  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason)
    this.onClosing?.()
  }
}

export class Connection implements Wire {
  /** How many streams it has had. */
  streams = 0
  /** What broke it; undefined while nothing has. */
  cause: Error | undefined
  readonly openedAtMs: number
  readonly #socket: TellingSocket
  readonly #raw: Duplex
  readonly #options: ConnectionOptions
  readonly #open = new Set<Stream>()
  #session: Session | undefined
  #retired: GatewayError | undefined
  /** Since when too much has been waiting to leave. */
  #fullSinceMs: number | undefined
  #left = false
  /** When the peer last sent anything. */
  #heardAtMs: number
  #pingedAtMs: number
  /** How many messages may come at once, and when that was reckoned. */
  #credit: number
  #creditAtMs: number

  /** @param raw the TCP or TLS socket below `socket` */
  constructor(socket: TellingSocket, raw: Duplex, options: ConnectionOptions) {
    this.#socket = socket
    this.#raw = raw
    this.#options = options
    this.#credit = options.messagesPerSecond
    this.openedAtMs = this.#heardAtMs = this.#pingedAtMs = this.#creditAtMs = options.now()
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  get full(): boolean {
    if (this.#socket.bufferedAmount > HIGH_BYTES) this.#fullSinceMs ??= this.#options.now()
    return this.#fullSinceMs !== undefined
  }

  get retired(): GatewayError | undefined {
    return this.#retired
  }

  /** Hands every message to `session`, until the connection has closed; then calls `onClosed` with the close code. */
  serve(session: Session, onClosed: (code: number) => void): void {
    this.#session = session
    this.#socket.onClosing = () => this.#leave()
    this.#socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    // bytes, not messages: a pong can't overtake the large message that its peer is sending
    this.#raw.on('data', () => {
      this.#heardAtMs = this.#options.now()
    })
    // TCP may end without a goodbye, and its close waits until everything has left
    this.#raw.once('end', () => this.#leave())
    this.#socket.on('error', (cause) => {
      this.cause ??= cause
    })
    this.#socket.on('close', (code) => {
      this.#leave()
      onClosed(code)
    })
  }

  cork(): void {
    this.#raw.cork()
  }

  uncork(): void {
    this.#raw.uncork()
  }

  send(message: Buffer): void {
    if (this.open) this.#socket.send(message, TEXT, this.#onSent)
  }

  attach(stream: Stream): void {
    this.streams++
    this.#open.add(stream)
  }

  detach(stream: Stream): void {
    this.#open.delete(stream)
    // the stream's last message comes first
    if (this.#retired !== undefined) queueMicrotask(() => this.#closeIfIdle())
  }

  cut(): void {
    this.#socket.terminate()
    this.#leave()
  }

  /** Takes nothing new any more, for `error`, and closes as soon as nothing is under way. */
  retire(error: GatewayError): void {
    if (this.#retired !== undefined) return
    this.#retired = error
    this.#session?.refuseWaiting(error)
    this.#closeIfIdle()
  }

  /** Looks at the clock: gives a dead peer up, pings a silent one, retires a connection that is too old. */
  tick(nowMs: number): void {
    const { pingMs, maxConnectionMs } = this.#options
    const why = this.#findDeath(nowMs)
    if (why !== undefined) {
      this.cause ??= new Error(why)
      this.cut()
      return
    }
    if (this.open && nowMs - this.#pingedAtMs >= pingMs) {
      this.#pingedAtMs = nowMs
      this.#socket.ping()
    }
    if (nowMs - this.openedAtMs > maxConnectionMs) this.retire(new GatewayError('websocket_connection_limit_reached'))
  }

  #receive(message: Buffer, isBinary: boolean): void {
    if (!this.open) return
    if (isBinary) this.#socket.close(CLOSE.unsupported, 'only text messages are understood')
    else if (this.#mayReceive()) this.#session?.receive(message)
    else {
      const error = new GatewayError('too_many_messages', {
        message: `A connection may send ${this.#options.messagesPerSecond} messages a second; it is closed.`
      })
      this.#session?.tell(error)
      this.#socket.close(CLOSE.policy, 'too many messages')
    }
  }

  #mayReceive(): boolean {
    const { messagesPerSecond, now } = this.#options
    const nowMs = now()
    const earned = ((nowMs - this.#creditAtMs) / 1000) * messagesPerSecond
    this.#credit = Math.min(messagesPerSecond, this.#credit + earned) - 1
    this.#creditAtMs = nowMs
    return this.#credit >= 0
  }

  readonly #onSent = () => {
    if (this.#fullSinceMs === undefined || this.#socket.bufferedAmount > LOW_BYTES) return
    this.#fullSinceMs = undefined
    for (const stream of this.#open) stream.drained()
  }

  /** Why the peer is to be given up; undefined while it lives. */
  #findDeath(nowMs: number): string | undefined {
    const patienceMs = this.#options.pingMs + this.#options.stalledMs
    if (nowMs - this.#heardAtMs > patienceMs) return 'the peer answers no ping'
    // whoever asks and never reads has no stream that a deadline would end
    if (this.full && nowMs - (this.#fullSinceMs ?? nowMs) > patienceMs) return 'the peer reads nothing'
    return undefined
  }

  #closeIfIdle(): void {
    if (this.#retired === undefined || this.#session?.busy || !this.open) return
    const { code } = this.#retired
    this.#socket.close(code === 'invalid_api_key' ? CLOSE.policy : CLOSE.goingAway, code)
  }

  /** Frees everything; what comes first of the goodbye, the peer's last byte and the socket's close calls it. */
  #leave(): void {
    if (this.#left) return
    this.#left = true
    this.#session?.abandon()
    for (const stream of this.#open) stream.left()
  }
}
