// The hot path: moves one engine's answer to one sink, pauses the engine for a slow reader and closes it for a gone one.
import type { Readable } from 'node:stream'
import type { Call, EngineControl, EngineHandler, Headers, Outcome, Sink } from '../call.ts'
import { GatewayError } from '../errors.ts'
import { type AnswerRelay, engineFailed, type RelayContext } from './answer-relay.ts'
import { EventRelay } from './event-relay.ts'
import type { Meter } from './meter.ts'
import { RefusalReader } from './refusal.ts'
import type { Watch } from './watch.ts'
import { WholeRelay } from './whole-relay.ts'

/** Asks an engine; the handler is told what comes back. */
export type Open = (handler: EngineHandler) => void

/** Runs one attempt to its end. It never throws: whatever happens is an `Outcome`. */
export function relay(open: Open, call: Call, sink: Sink, watch: Watch, meter: Meter): Promise<Outcome> {
  return new Promise((resolve) => {
    const attempt = new Attempt(call, sink, watch, meter, resolve)
    if (!attempt.settled) open(attempt)
  })
}

/** Why the gateway itself closes an exchange with an engine; told to nobody but the socket. */
const CLOSED = new Error('the gateway closed this exchange')

const EVENT_STREAM = 'text/event-stream'

/** One attempt at one engine. */
class Attempt implements EngineHandler, RelayContext {
  // what a token touches stands first
  #answer: AnswerRelay | undefined
  #settled = false
  readonly sink: Sink
  readonly call: Call
  readonly watch: Watch
  readonly meter: Meter
  readonly #resolve: (outcome: Outcome) => void
  #engine: EngineControl | undefined
  #paused = false

  constructor(call: Call, sink: Sink, watch: Watch, meter: Meter, resolve: (outcome: Outcome) => void) {
    this.call = call
    this.sink = sink
    this.watch = watch
    this.meter = meter
    this.#resolve = resolve
    this.#expect(call.body.rest)
    sink.onDrain(() => this.resume())
    watch.onStop((outcome) => this.#settle(this.#answer?.done === true ? { kind: 'complete' } : outcome, true))
  }

  /** An engine answers when it has the whole request, and the time of a slow upload is not its fault. */
  #expect(rest: Readable | undefined): void {
    const uploads = rest !== undefined && !rest.readableEnded
    this.watch.enter(uploads ? 'upload' : 'first-token')
    if (uploads) rest.once('end', () => this.watch.uploaded())
  }

  get settled(): boolean {
    return this.#settled
  }

  pause(): void {
    this.#paused = true
    this.watch.enter('paused')
    this.#engine?.pause()
  }

  resume(): void {
    if (this.#settled || !this.#paused) return
    this.#paused = false
    this.watch.enter('streaming')
    this.#engine?.resume()
  }

  onStart(engine: EngineControl): void {
    this.#engine = engine
    if (this.#settled) engine.abort(CLOSED)
    else this.meter.connected()
  }

  onHead(status: number, headers: Headers): void {
    if (this.#settled) return
    const type = headers['content-type'] ?? ''
    const events = type === EVENT_STREAM || /^text\/event-stream/i.test(type)
    if (status !== 200) this.#answer = new RefusalReader(status, headers)
    else if (events !== this.call.stream) {
      this.#settle(
        engineFailed(`the engine answered stream: ${this.call.stream} with content-type "${type}"`, true),
        true
      )
    } else this.#answer = events ? new EventRelay(this) : new WholeRelay(this, headers)
  }

  onData(bytes: Buffer, start = 0, end: number = bytes.length, frameStart = -1, frameEnd = -1): void {
    if (this.#settled) return
    const outcome = this.#answer?.data(bytes, start, end, frameStart, frameEnd)
    if (outcome !== undefined) this.#settle(outcome, true)
  }

  onReadEnd(): void {
    this.#answer?.flush?.()
    this.sink.flush()
  }

  onEnd(): void {
    if (this.#settled) return
    this.#settle(this.#answer?.end() ?? engineFailed('the engine ended without an answer', true), false)
  }

  onError(cause: Error): void {
    if (this.#settled) return
    // a request that broke off, or that turned out to be wrong while it was passed on
    if (cause instanceof GatewayError)
      this.#settle({ kind: 'error', error: cause, engineFault: false, retryable: false }, false)
    else this.#settle(this.#answer?.lost(cause) ?? engineFailed(cause, true), false)
  }

  /**
   * Settles first and aborts second: an abort reports an error at once, and a client that left must not count against
   * the engine.
   */
  #settle(outcome: Outcome, abort: boolean): void {
    if (this.#settled) return
    this.#settled = true
    this.watch.onStop(undefined)
    this.#resolve(outcome)
    if (abort) this.#engine?.abort(CLOSED)
  }
}
