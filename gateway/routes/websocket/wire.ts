// What a stream, a session and their connection are to each other, types only.
import type { IncomingHttpHeaders } from 'node:http'
import type { Call, Principal, Sink } from '../../call.ts'
import type { GatewayError } from '../../errors.ts'
import type { ToCallOptions } from '../to-call.ts'
import type { Histories } from './histories.ts'

/** A connection, as those see it who send over it. */
export interface Wire {
  /** False as soon as either side has begun to close. */
  readonly open: boolean
  /** More waits to leave than should; true until most of it has gone. */
  readonly full: boolean
  /** Why the connection takes nothing new any more; undefined while it does. */
  readonly retired: GatewayError | undefined
  /** What is sent until `uncork` leaves in one write. */
  cork(): void
  uncork(): void
  /** Sends one text message; the connection keeps `message` until it has left. */
  send(message: Buffer): void
  attach(stream: Stream): void
  /** The stream has ended. */
  detach(stream: Stream): void
  /** Ends the connection without a goodbye: its peer takes nothing. */
  cut(): void
}

/** One answer on its way over a connection. */
export interface Stream {
  /** What waited to leave has gone. */
  drained(): void
  /** The connection is closing: nobody reads any more. */
  left(): void
}

/** One protocol over one connection. */
export interface Session {
  /** Takes one message. It throws nothing: the client is told of whatever is wrong. */
  receive(message: Buffer): void
  /** Tells the client of an error that belongs to no stream. */
  tell(error: GatewayError): void
  /** Refuses with `error` what has come and has not begun. */
  refuseWaiting(error: GatewayError): void
  /** The connection has closed: what waits will not begin. */
  abandon(): void
  /** Whether an answer is under way. */
  readonly busy: boolean
}

/** Whose connection it is. */
export interface Client {
  /** The request id of the upgrade; each stream's is this one, a period and a number. */
  readonly id: string
  readonly headers: IncomingHttpHeaders
  readonly principal: Principal
}

/** What a session needs of the gateway. */
export interface SessionDeps extends ToCallOptions {
  /** Answers the call into the sink; it takes care of its own failures. */
  readonly exchange: (call: Call, sink: Sink) => void
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** The time of day, in seconds since 1970. */
  readonly nowSeconds: () => number
  /** How many answers one connection gets at once. */
  readonly maxStreams: number
  readonly maxMessageBytes: number
  /** What the connections of the gateway remember. */
  readonly histories: Histories
  /** Told of each request that was refused before it became a call. */
  readonly onRefused: (request: { readonly id: string; readonly method: string }, error: GatewayError) => void
}
