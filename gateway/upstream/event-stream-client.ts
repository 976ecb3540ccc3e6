// Speaks plain HTTP to an engine on sockets of its own and hands chunk frames through as they came: the fast way upstream.
import { connect, type Socket } from 'node:net'
import type { Call, EngineControl, EngineHandler, Headers, Lease } from '../call.ts'
import { toEngineHeaders } from './headers.ts'
import { RefusedResponse, ResponseParser, type ResponseVisitor } from './response-parser.ts'

export interface EventStreamClientOptions {
  readonly connectMs: number
  /** How long an idle connection is kept; shorter than the engine keeps it. */
  readonly poolIdleMs: number
}

export interface EventStreamClientDeps {
  /** Asks again by another client when an engine answers in a way that is not read here. */
  readonly fallBack: (lease: Lease, call: Call, handler: EngineHandler) => void
}

export interface EventStreamClient {
  open(lease: Lease, call: Call, handler: EngineHandler): void
  /** Closes the idle connections to an origin. */
  forget(origin: string): void
  destroy(): void
}

/** As much as one read takes in. Reads of all connections share one buffer for as long as nobody keeps its bytes. */
const READ_BYTES = 65_536
let shared = Buffer.allocUnsafeSlow(READ_BYTES)

/** One connection: idle, or carrying one exchange. */
class Connection implements ResponseVisitor, EngineControl {
  readonly socket: Socket
  readonly #parser = new ResponseParser(this)
  readonly #onIdle: (connection: Connection) => void
  #handler: EngineHandler | undefined
  #onRefused: ((cause: RefusedResponse) => void) | undefined
  #headSeen = false

  constructor(origin: URL, options: EventStreamClientOptions, onIdle: (connection: Connection) => void) {
    this.#onIdle = onIdle
    const onread = {
      buffer: () => shared,
      callback: (length: number, bytes: Uint8Array) => this.#read(bytes as Buffer, length)
    }
    this.socket = connect({
      host: origin.hostname.replace(/^\[|\]$/g, ''),
      port: Number(origin.port || 80),
      noDelay: true,
      onread
    })
    this.socket.setTimeout(options.connectMs)
    this.socket.on('timeout', () => {
      this.socket.destroy(this.socket.connecting ? new Error('connecting to the engine took too long') : undefined)
    })
    this.socket.once('connect', () => this.socket.setTimeout(0))
    this.socket.on('error', (cause) => this.#lose(cause))
    this.socket.on('close', () => this.#lose(new Error('the engine closed the connection')))
  }

  /** Sends one request; the handler is told what comes back. */
  start(head: string, body: Buffer, handler: EngineHandler, onRefused: (cause: RefusedResponse) => void): void {
    this.#handler = handler
    this.#onRefused = onRefused
    this.#headSeen = false
    this.#parser.reset()
    if (!this.socket.connecting) this.socket.setTimeout(0)
    this.socket.ref()
    this.socket.cork()
    this.socket.write(head, 'latin1')
    this.socket.write(body)
    this.socket.uncork()
    handler.onStart(this)
  }

  /** Waits for its next request, or for its end. */
  rest(idleMs: number): void {
    this.socket.unref()
    this.socket.setTimeout(idleMs)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  abort(): void {
    this.#handler = undefined
    this.socket.destroy()
  }

  onHead(status: number, headers: Headers): void {
    this.#headSeen = true
    this.#handler?.onHead(status, headers)
  }

  onPayload(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): void {
    this.#handler?.onData(bytes, start, end, frameStart, frameEnd)
  }

  #read(bytes: Buffer, length: number): boolean {
    // kept aside: the exchange may be aborted while its bytes are told, and they are still on their way to the reader
    const handler = this.#handler
    let refusal: Error | undefined
    try {
      this.#parser.push(bytes, length)
    } catch (cause) {
      refusal = cause as Error
    }
    if (handler?.onReadEnd() === true) shared = Buffer.allocUnsafeSlow(READ_BYTES)
    if (refusal !== undefined) this.#refuse(refusal)
    else if (this.#parser.done && this.#handler !== undefined) this.#finish()
    return true
  }

  #finish(): void {
    const handler = this.#handler
    this.#handler = undefined
    if (this.#parser.keepAlive && !this.socket.destroyed) this.#onIdle(this)
    else this.socket.destroy()
    handler?.onEnd()
  }

  /** A response that is not read here: by another client before anything of it was told, as an error after that. */
  #refuse(cause: Error): void {
    const handler = this.#handler
    this.#handler = undefined
    this.socket.destroy()
    if (cause instanceof RefusedResponse && !this.#headSeen) this.#onRefused?.(cause)
    else handler?.onError(cause)
  }

  #lose(cause: Error): void {
    const handler = this.#handler
    this.#handler = undefined
    handler?.onError(cause)
  }
}

export function createEventStreamClient(
  options: EventStreamClientOptions,
  deps: EventStreamClientDeps
): EventStreamClient {
  /** Idle connections by origin, the one used last at the end: the others may grow old and close. */
  const idle = new Map<string, Connection[]>()
  const everyConnection = new Set<Connection>()
  /** Origins whose engines answer in a way that is not read here. */
  const refused = new Set<string>()

  const add = (origin: string): Connection => {
    const connection = new Connection(new URL(origin), options, (self) => {
      const list = idle.get(origin)
      if (list === undefined) idle.set(origin, [self])
      else list.push(self)
      self.rest(options.poolIdleMs)
    })
    everyConnection.add(connection)
    connection.socket.once('close', () => {
      everyConnection.delete(connection)
      const list = idle.get(origin)
      const at = list?.indexOf(connection) ?? -1
      if (at !== -1) list?.splice(at, 1)
    })
    return connection
  }
  return {
    open(lease, call, handler) {
      const { origin } = lease.endpoint
      if (refused.has(origin)) {
        deps.fallBack(lease, call, handler)
        return
      }
      const connection = idle.get(origin)?.pop() ?? add(origin)
      connection.start(toHead(origin, call, toEngineHeaders(lease.endpoint, call)), call.body, handler, () => {
        refused.add(origin)
        deps.fallBack(lease, call, handler)
      })
    },
    forget(origin) {
      refused.delete(origin)
      for (const connection of [...(idle.get(origin) ?? [])]) connection.socket.destroy()
      idle.delete(origin)
    },
    destroy() {
      for (const connection of everyConnection) connection.socket.destroy()
    }
  }
}

/** The head of a request. Its values come from our own code or were checked by Node's parser: no line end is in them. */
function toHead(origin: string, call: Call, headers: Headers): string {
  let head = `POST ${call.path} HTTP/1.1\r\nhost: ${origin.slice(origin.indexOf('//') + 2)}\r\n`
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`
  return `${head}content-length: ${call.body.length}\r\nconnection: keep-alive\r\n\r\n`
}
