// Keeps watch over every open request: its deadlines, its stalls, its heartbeat, and the one reason why it ends early.
import type { Call, Outcome, Sink } from '../call.ts'
import { GatewayError } from '../errors.ts'
import { type Member, Roster } from './roster.ts'
import { HEARTBEAT, SSE_HEADERS } from './sse.ts'

/** The timers of one request, in ms; see the time budget for what each means. */
export interface WatchTimers {
  readonly firstTokenMs: number
  readonly idleMs: number
  readonly streamMs: number
  readonly heartbeatMs: number
  readonly stalledMs: number
}

/** What a request waits for: its turn, the rest of it, its first token, its next event, its reader, or the end after `[DONE]`. */
type Phase = 'queued' | 'upload' | 'first-token' | 'streaming' | 'paused' | 'ending'

/** Phases in which a heartbeat would be wrong: the reader takes nothing, has everything, or is still sending. */
const SILENT = new Set<Phase>(['paused', 'ending', 'upload'])

/** An engine that has sent `[DONE]` gets so long to end its response; then its connection is closed. */
const ENDING_MS = 1_000

/** An answer whose output is counted while it goes to its reader. */
export interface Output {
  readonly outputEvents: number
}

/** One open request under watch. The first reason to stop wins; later ones change nothing. */
export class Watch implements Disposable, Member {
  place = -1
  readonly call: Call
  readonly sink: Sink
  readonly #timers: WatchTimers
  readonly #open: Roster<Watch>
  #phase: Phase = 'queued'
  #phaseSinceMs: number
  #sentAtMs: number
  #nowMs: number
  #stopped: Outcome | undefined
  #onStop: ((outcome: Outcome) => void) | undefined
  #output: Output | undefined
  #seenEvents = 0

  constructor(call: Call, sink: Sink, timers: WatchTimers, open: Roster<Watch>, nowMs: number) {
    this.call = call
    this.sink = sink
    this.#timers = timers
    this.#open = open
    this.#phaseSinceMs = this.#sentAtMs = this.#nowMs = nowMs
    open.add(this)
    sink.onGone(() => this.stop({ kind: 'client_gone' }))
    if (sink.gone) this.stop({ kind: 'client_gone' })
  }

  /** Why the request must end, or undefined while it may go on. */
  get stopped(): Outcome | undefined {
    return this.#stopped
  }

  /** Calls `listener` once when the request must end, at once if it must already. Replaces an earlier listener. */
  onStop(listener: ((outcome: Outcome) => void) | undefined): void {
    this.#onStop = listener
    if (this.#stopped !== undefined) listener?.(this.#stopped)
  }

  stop(outcome: Outcome): void {
    if (this.#stopped !== undefined) return
    this.#stopped = outcome
    this.#onStop?.(outcome)
  }

  /** Enters a phase; each has its own time limit. The clock is that of the last tick: coarse, and free. */
  enter(phase: Phase): void {
    // a full sink may say so more than once; its reader has stalled since the first time
    if (phase === 'paused' && this.#phase === 'paused') return
    this.#phase = phase
    this.#phaseSinceMs = this.#nowMs
  }

  /** The request is whole: from now on it is its engine's turn, unless that has answered already. */
  uploaded(): void {
    if (this.#phase === 'upload') this.enter('first-token')
  }

  /** Something went to the reader; `progress` says that it was a part of the answer. */
  moved(progress = true): void {
    this.#sentAtMs = this.#nowMs
    if (progress && this.#phase === 'streaming') this.#phaseSinceMs = this.#nowMs
  }

  /** Takes each event that `output` counts for a part of the answer that went to the reader: nobody need say so for each. */
  follow(output: Output): void {
    this.#output = output
    this.#seenEvents = output.outputEvents
  }

  /** Looks at the clock: ends what is overdue, beats where nothing was sent. */
  tick(nowMs: number): void {
    const events = this.#output?.outputEvents ?? 0
    if (events !== this.#seenEvents) this.moved()
    this.#seenEvents = events
    this.#nowMs = nowMs
    if (this.#stopped !== undefined) return
    const overdue = this.#findOverdue(nowMs)
    if (overdue !== undefined) this.stop(overdue)
    else if (this.call.stream && !SILENT.has(this.#phase)) this.#beat(nowMs)
  }

  #findOverdue(nowMs: number): Outcome | undefined {
    const { streamMs, firstTokenMs, idleMs, stalledMs } = this.#timers
    const inPhaseMs = nowMs - this.#phaseSinceMs
    if (nowMs - this.call.acceptedAtMs > streamMs) return end('stream_timeout', false)
    if (this.#phase === 'ending') return inPhaseMs > ENDING_MS ? end('idle_timeout', false) : undefined
    if (this.#phase === 'paused') return inPhaseMs > stalledMs ? end('slow_reader', false) : undefined
    if (!this.call.stream) return undefined
    if (this.#phase === 'first-token' && inPhaseMs > firstTokenMs) return end('ttft_timeout', true)
    if (this.#phase === 'streaming' && inPhaseMs > idleMs) return end('idle_timeout', true)
    return undefined
  }

  /** The relay writes whole events only, so every moment between two writes is between two events. */
  #beat(nowMs: number): void {
    if (nowMs - this.#sentAtMs < this.#timers.heartbeatMs) return
    if (!this.sink.headSent) this.sink.head(200, SSE_HEADERS)
    this.sink.write(HEARTBEAT)
    this.#sentAtMs = nowMs
  }

  [Symbol.dispose](): void {
    this.#open.delete(this)
    this.#onStop = undefined
  }
}

const end = (code: ConstructorParameters<typeof GatewayError>[0], engineFault: boolean): Outcome => ({
  kind: 'error',
  error: new GatewayError(code),
  engineFault,
  retryable: false
})

/** All open requests, and the single timer that serves them. */
export interface Watches {
  /** How many requests are open. */
  readonly size: number
  /** How many bytes of request bodies the open requests hold: those that wait, and those whose answer has not begun. */
  heldBytes(): number
  start(call: Call, sink: Sink): Watch
  /** Ends every open request with `error`; each reader is told. */
  stopAll(error: GatewayError): void
  close(): void
}

/** Starts the one timer behind all deadlines. It ticks at a quarter of the shortest of them, so that is how late each may come. */
export function createWatches(timers: WatchTimers, deps: { now: () => number }): Watches {
  const open = new Roster<Watch>()
  const { now } = deps
  const { firstTokenMs, idleMs, streamMs, heartbeatMs, stalledMs } = timers
  const tickMs = Math.min(
    250,
    Math.max(5, Math.floor(Math.min(firstTokenMs, idleMs, streamMs, heartbeatMs, stalledMs) / 4))
  )
  const timer = setInterval(() => {
    const nowMs = now()
    open.visit((watch) => watch.tick(nowMs))
  }, tickMs)
  timer.unref()
  return {
    get size() {
      return open.size
    },
    heldBytes() {
      let bytes = 0
      open.visit(({ call }) => {
        bytes += call.body.bytes.length
      })
      return bytes
    },
    start: (call, sink) => new Watch(call, sink, timers, open, now()),
    stopAll(error) {
      open.visit((watch) => watch.stop({ kind: 'error', error, engineFault: false, retryable: false }))
    },
    close: () => clearInterval(timer)
  }
}
