// Starts one attempt at a fake engine for a fake reader, under a real watch and a real meter on a stopped clock.
import type { Call, Outcome } from '../../gateway/call.ts'
import { Meter } from '../../gateway/stream/meter.ts'
import { relay } from '../../gateway/stream/relay.ts'
import { Roster } from '../../gateway/stream/roster.ts'
import { Watch } from '../../gateway/stream/watch.ts'
import { FakeEngine, FakeSink, fakeCall } from './fakes.ts'

export const TIMERS = { firstTokenMs: 1_000, idleMs: 500, streamMs: 10_000, heartbeatMs: 100, stalledMs: 300 }

export interface Attempt {
  readonly engine: FakeEngine
  readonly sink: FakeSink
  readonly watch: Watch
  readonly meter: Meter
  readonly outcome: Promise<Outcome>
}

export interface AttemptOptions {
  /** False: the engine is asked, but its connection is not there yet. */
  readonly connect?: boolean
  /** The reader has left before the attempt begins. */
  readonly goneBefore?: boolean
  /** Another reader than the usual one. */
  readonly sink?: FakeSink
}

export function startAttempt(call: Partial<Call> = {}, options: AttemptOptions = {}): Attempt {
  const [asked, engine, sink] = [fakeCall(call), new FakeEngine(), options.sink ?? new FakeSink()]
  if (options.goneBefore) sink.left = true
  const watch = new Watch(asked, sink, TIMERS, new Roster(), 0)
  const meter = new Meter(asked, () => 0)
  meter.attempt('engine:8000')
  if (options.connect === false) engine.onOpen = () => {}
  return { engine, sink, watch, meter, outcome: relay(engine.open, asked, sink, watch, meter) }
}

/** The outcome in a few words: `upstream_error, engine fault, retryable`. */
export async function summary(attempt: Pick<Attempt, 'outcome'>): Promise<string> {
  const outcome = await attempt.outcome
  if (outcome.kind !== 'error') return outcome.kind
  const { error, engineFault, retryable } = outcome
  return [error.code, engineFault && 'engine fault', retryable && 'retryable'].filter(Boolean).join(', ')
}
