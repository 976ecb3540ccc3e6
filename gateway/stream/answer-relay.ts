// What every way of moving an answer has in common: its context, its verdicts, its faults.
import type { Call, Outcome, Sink } from '../call.ts'
import { GatewayError } from '../errors.ts'
import type { Meter } from './meter.ts'
import type { Watch } from './watch.ts'

/** How one kind of answer is moved. Each method says how the attempt ended, or undefined while it goes on. */
export interface AnswerRelay {
  /** Payload in `bytes` from `start` to `end`; a whole HTTP chunk stands from `frameStart` to `frameEnd`, or -1. */
  data(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): Outcome | undefined
  /** The answer is whole, and has gone to the reader. */
  readonly done?: boolean
  /** Everything of one read has come. */
  flush?(): void
  end(): Outcome
  /** The engine's connection broke. */
  lost(cause: Error): Outcome
}

/** What a relay works with: one request, its watch and its meter. */
export interface RelayContext {
  readonly call: Call
  readonly sink: Sink
  readonly watch: Watch
  readonly meter: Meter
  /** Stops reading from the engine until the sink has drained. */
  pause(): void
  /** Reads on. */
  resume(): void
}

const NOTHING = Buffer.alloc(0)

/** The answer has begun: no other engine will be asked, so nobody needs the request's body any more. */
export function letBodyGo({ body }: Call): void {
  body.bytes = NOTHING
}

/** The outcome of an engine that broke the exchange; `retryable` while nothing of its answer went to the client. */
export function engineFailed(cause: string | Error, retryable: boolean): Outcome {
  const error = new GatewayError('upstream_error', { cause: typeof cause === 'string' ? new Error(cause) : cause })
  return { kind: 'error', error, engineFault: true, retryable }
}

/** The outcome of an engine that gave the request up without being broken: it shuts down, or preempted it. */
export function engineGaveUp(retryable: boolean): Outcome {
  const error = new GatewayError('upstream_error', {
    cause: new Error('the engine ended the answer with finish_reason "abort"')
  })
  return { kind: 'error', error, engineFault: false, retryable }
}
