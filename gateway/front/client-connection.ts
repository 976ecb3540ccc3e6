// One client connection while its requests are plain: reads one, has it answered, reads the next; anything else goes to Node.
import type { Socket } from 'node:net'
import type { Call, Principal, Sink } from '../call.ts'
import type { EnginePath } from '../engine-routes.ts'
import type { Member } from '../stream/roster.ts'
import { type PlainHead, readPlainHead } from './plain-head.ts'
import { type AnswerListener, type AnswerStyle, SocketSink } from './socket-sink.ts'

/** A request that is here as a whole. */
export interface PlainRequest {
  readonly path: EnginePath
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly principal: Principal
}

/** Who keeps connections; one object for all of them, because a few functions for each add up over thousands of streams. */
export interface ConnectionOwner {
  readonly maxBodyBytes: number
  readonly style: AnswerStyle
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** False: requests are answered by Node's server, which knows how to refuse them and to ask for another connection. */
  readonly serves: () => boolean
  /** False: a connection that has nothing to answer is closed. */
  readonly listens: () => boolean
  /** Who asks, by the value of `Authorization` from `start` to `end`; throws where it carries no key that is known. */
  readonly identify: (bytes: Buffer, start: number, end: number) => Principal
  /** The call of a request and what CORS adds to its answer; throws what makes the request one to refuse. */
  readonly receive: (request: PlainRequest) => {
    readonly call: Call
    readonly headers: Readonly<Record<string, string>>
  }
  /** Answers the call into the sink; it takes care of its own failures. */
  readonly exchange: (call: Call, sink: Sink) => void
  /** Node's server takes the connection, and keeps it. `unread` are the bytes that nobody has answered yet. */
  readonly handOver: (socket: Socket, unread: Buffer) => void
  /** The connection has closed, or was handed over. */
  readonly onLeft: (connection: ClientConnection) => void
  /** Answers a request that can't be read to its end, as Node's server does. */
  readonly refuse: (cause: NodeJS.ErrnoException, socket: Socket) => void
  /** Told of each request whose connection closed before its body was whole. */
  readonly onBroken: (headers: PlainHead['headers']) => void
}

/** What a connection waits for: a request, the rest of its body, or the end of its answer. */
export type ConnectionPhase = 'idle' | 'body' | 'answer'

/**
 * More than a request of the largest size and this is not read ahead while one is answered. Until then a client is read on, for only
 * who is read is seen to leave.
 */
const MORE_AHEAD_BYTES = 65_536

const NONE: Buffer[] = []

/** The socket of a connection knows it, so that one set of listeners serves all sockets. */
interface OwnedSocket extends Socket {
  connection?: ClientConnection
}

export class ClientConnection implements Member, AnswerListener {
  place = -1
  readonly socket: Socket
  readonly #owner: ConnectionOwner
  #phase: ConnectionPhase = 'idle'
  #sinceMs: number
  #answered = false
  /** Bytes that belong to no answer yet: a body that is not whole, or what a client sends ahead. */
  #unread: Buffer[] = NONE
  #unreadBytes = 0
  #head: PlainHead | undefined
  #principal: Principal | undefined
  #sink: SocketSink | undefined

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.socket = socket
    this.#owner = owner
    this.#sinceMs = owner.now()
    ;(socket as OwnedSocket).connection = this
    for (const [event, listener] of LISTENERS) socket.on(event, listener)
  }

  get phase(): ConnectionPhase {
    return this.#phase
  }

  /** When the phase began, in ms. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  /** It has carried an answer. */
  get answered(): boolean {
    return this.#answered
  }

  /** An answer has not left yet, its last bytes for a slow reader included. */
  get open(): boolean {
    return this.#phase !== 'idle' || this.socket.writableLength > 0
  }

  #enter(phase: ConnectionPhase): void {
    this.#phase = phase
    this.#sinceMs = this.#owner.now()
  }

  onData(bytes: Buffer): void {
    // nothing can be written behind the last answer, and to try would cut off what has not left of it
    if (this.socket.writableEnded) return
    // what was sent ahead comes first, even when its turn is only in the next one of the event loop
    if (this.#phase === 'idle' && this.#unreadBytes === 0 && !this.socket.writableNeedDrain) this.#begin(bytes)
    else {
      if (this.#unread === NONE) this.#unread = []
      this.#unread.push(bytes)
      this.#unreadBytes += bytes.length
      if (this.#phase === 'body') this.#takeBody()
      else if (this.#unreadBytes > this.#owner.maxBodyBytes + MORE_AHEAD_BYTES) this.socket.pause()
    }
  }

  /** The first bytes of a request: the whole head of a plain one, or nothing for here. */
  #begin(bytes: Buffer): void {
    const head = this.#owner.serves() ? readPlainHead(bytes, this.#owner.maxBodyBytes) : undefined
    const principal = head && this.#identify(bytes, head)
    if (head === undefined || principal === undefined) {
      this.#handOver(bytes)
      return
    }
    this.#head = head
    this.#principal = principal
    if (this.socket.timeout) this.socket.setTimeout(0)
    this.#unread = [bytes]
    this.#unreadBytes = bytes.length
    this.#enter('body')
    this.#takeBody()
  }

  /** Who asks; undefined where that is nobody who is known. */
  #identify(bytes: Buffer, { credentialStart, credentialEnd }: PlainHead): Principal | undefined {
    if (credentialEnd === 0) return undefined
    try {
      return this.#owner.identify(bytes, credentialStart, credentialEnd)
    } catch {
      return undefined
    }
  }

  #takeBody(): void {
    const [head, principal] = [this.#head, this.#principal]
    if (head === undefined || principal === undefined) return
    const end = head.bodyStart + head.bodyBytes
    if (this.#unreadBytes < end) return
    const bytes = this.#takeUnread()
    this.#head = undefined
    this.#principal = undefined
    this.#answer(bytes, head, principal, end)
  }

  #answer(bytes: Buffer, { path, headers: fields, bodyStart }: PlainHead, principal: Principal, end: number): void {
    let received: ReturnType<ConnectionOwner['receive']>
    try {
      received = this.#owner.receive({ path, headers: fields, body: bytes.subarray(bodyStart, end), principal })
    } catch {
      this.#handOver(bytes)
      return
    }
    const { call, headers } = received
    this.#enter('answer')
    if (bytes.length > end) {
      this.#unread = [bytes.subarray(end)]
      this.#unreadBytes = bytes.length - end
    }
    this.#sink = new SocketSink(this.socket, call, headers, this.#owner.style, this)
    this.#owner.exchange(call, this.#sink)
  }

  /** The socket has the whole answer, and takes the next request. */
  onAnswered(): void {
    const { socket } = this
    this.#sink = undefined
    this.#answered = true
    this.#enter('idle')
    if (socket.writableLength > 0) socket.setTimeout(this.#owner.style.stalledMs)
    if (!this.#owner.listens()) this.retire()
    // not at once: whoever ends an answer is in the middle of its own work, and has not given back its place in the line
    if (this.#unreadBytes > 0) setImmediate(() => this.#goOn())
  }

  /**
   * Closes it if it has nothing to answer, behind what has not left yet of its last answer. The next request would be refused;
   * whoever sends it on another connection meets a gateway that stays.
   */
  retire(): void {
    if (this.#phase === 'idle' && this.#unreadBytes === 0) this.socket.destroySoon()
  }

  /** Turns to what the client has sent ahead, once it takes what it was answered: answers that nobody reads would pile up. */
  #goOn(): void {
    if (this.socket.destroyed || this.#phase !== 'idle' || this.socket.writableNeedDrain) return
    const bytes = this.#takeUnread()
    this.socket.resume()
    if (bytes.length > 0) this.#begin(bytes)
  }

  #takeUnread(): Buffer {
    const bytes = this.#unread.length === 1 ? (this.#unread[0] as Buffer) : Buffer.concat(this.#unread)
    this.#unread = NONE
    this.#unreadBytes = 0
    return bytes
  }

  #handOver(unread: Buffer): void {
    const { socket } = this
    this.#release()
    if (socket.timeout) socket.setTimeout(0)
    this.#owner.handOver(socket, unread)
  }

  #release(): void {
    for (const [event, listener] of LISTENERS) this.socket.off(event, listener)
    delete (this.socket as OwnedSocket).connection
    this.#owner.onLeft(this)
  }

  /** The client says nothing more. Like Node's server, this one takes that for its leaving. */
  onEnd(): void {
    if (this.#phase === 'body') this.refuse('HPE_INVALID_EOF_STATE')
    else this.socket.end()
  }

  /** Ends a connection whose request is not whole. */
  refuse(code: string): void {
    this.#owner.refuse(Object.assign(new Error('the request is not whole'), { code }), this.socket)
  }

  /** Only the end of an answer that its reader was slow with has a time limit here. */
  onTimeout(): void {
    if (this.open) this.socket.destroy()
    else this.socket.setTimeout(0)
  }

  onDrain(): void {
    if (this.#unreadBytes > 0) this.#goOn()
    this.#sink?.drained()
  }

  onClose(): void {
    this.#owner.onLeft(this)
    if (this.#head !== undefined) this.#owner.onBroken(this.#head.headers)
    this.#sink?.closed()
  }
}

/** One for all sockets: `this` is the socket. */
const LISTENERS = Object.entries({
  data(this: OwnedSocket, bytes: Buffer) {
    this.connection?.onData(bytes)
  },
  end(this: OwnedSocket) {
    this.connection?.onEnd()
  },
  drain(this: OwnedSocket) {
    this.connection?.onDrain()
  },
  timeout(this: OwnedSocket) {
    this.connection?.onTimeout()
  },
  close(this: OwnedSocket) {
    this.connection?.onClose()
  },
  // a reader that vanishes in the middle of a write is told of by 'close'; an unheard 'error' would end the process
  error() {}
})
