// ONE request from admission to outcome. Read this file first: it alone knows the order of the steps.
import type { Readable } from 'node:stream'
import type { Queue, Slot } from './admission/queue.ts'
import type { Call, EngineHandler, Lease, Outcome, RequestRecord, Sink } from './call.ts'
import { asGatewayError, GatewayError } from './errors.ts'
import { Meter } from './stream/meter.ts'
import { relay } from './stream/relay.ts'
import type { Watch, Watches } from './stream/watch.ts'
import type { Pool } from './upstream/pool.ts'

/** The states and verbs that a request passes through. */
export interface ExchangeDeps {
  readonly watches: Watches
  readonly queue: Queue
  readonly pool: Pool
  /** Sends a call to the leased engine; the handler is told what comes back. */
  readonly open: (lease: Lease, call: Call, handler: EngineHandler) => void
  /** A monotonic clock in ms. */
  readonly now: () => number
  readonly maxAttempts: number
  /** Told once, when the request has ended. */
  readonly record: (record: RequestRecord) => void
  /** Told of a defect that showed after a request had ended. */
  readonly onFault: (call: Call, cause: unknown) => void
}

/**
 * Runs one request to its end; whatever happens, the reader is told and everything taken is given back. It asks one engine
 * after another until one answers, stands in line again where one is full, and asks none once `maxAttempts` have failed or a
 * byte of an answer has gone to the reader. It is one function because each that waits costs every open stream half a kilobyte.
 */
export async function exchange(call: Call, sink: Sink, deps: ExchangeDeps): Promise<Outcome> {
  const meter = new Meter(call, deps.now)
  let outcome: Outcome | undefined
  let failures = 0
  let wasFull = false
  try {
    using watch = deps.watches.start(call, sink)
    for (;;) {
      const isFirst = outcome === undefined
      const admitted = isFirst ? deps.queue.admit(call, watch) : standAgain(call, watch, meter, failures > 0, deps)
      // most need not wait, and waiting for nothing takes a while by itself
      using slot = admitted instanceof Promise ? await admitted : admitted
      if (slot.refused !== undefined) {
        outcome = watch.stopped ?? outcome ?? slot.refused
        break
      }
      meter.admitted()
      const tried: string[] = []
      do {
        using lease = tried.length < deps.maxAttempts ? deps.pool.lease(call.model, tried) : undefined
        if (lease === undefined) break
        tried.push(lease.endpoint.id)
        meter.attempt(lease.endpoint.id)
        outcome = await relay((handler) => deps.open(lease, call, handler), call, sink, watch, meter)
        judge(lease, outcome, call)
        if (isFull(outcome)) wasFull = true
        else failures++
      } while (failures < deps.maxAttempts && mayAskAgain(outcome, call, watch))
      if (failures >= deps.maxAttempts || !mayAskAgain(outcome, call, watch)) break
      if (!wasFull && !deps.pool.hasOther(call.model, tried)) break
    }
    outcome ??= refuse(new GatewayError('no_engine'))
  } catch (cause) {
    outcome = refuse(asGatewayError(cause))
  }
  finish(outcome, call, sink, meter, deps)
  return outcome
}

/** Throws nothing, for nobody waits for an exchange. */
function finish(outcome: Outcome, call: Call, sink: Sink, meter: Meter, deps: ExchangeDeps): void {
  try {
    if (outcome.kind === 'error') sink.fail(outcome.error, meter.events)
    deps.record(meter.finish(outcome))
  } catch (cause) {
    deps.onFault(call, cause)
  }
}

/**
 * In line once more, before those that never had a turn, for what is left of the time that a request may wait. There may be
 * room at the engines that turned it away, for others or until their breakers open: it must not go there at once.
 */
function standAgain(
  call: Call,
  watch: Watch,
  meter: Meter,
  hasFailed: boolean,
  { queue, now }: ExchangeDeps
): Slot | Promise<Slot> {
  watch.enter('queued')
  meter.queued()
  return queue.readmit(call, watch, now() - call.acceptedAtMs, hasFailed || call.places > 1)
}

/** Tells how the engine did, where this says anything of it. */
function judge(lease: Lease, outcome: Outcome, { places }: Call): void {
  if (outcome.kind === 'complete') lease.report('ok')
  else if (isFull(outcome)) lease.reportFull(places)
  else if (outcome.kind === 'error' && outcome.engineFault) lease.report('failed')
}

/** The engine took nothing of it: what says so in the middle of an answer is no refusal. */
const isFull = (outcome: Outcome | undefined) =>
  outcome?.kind === 'error' && outcome.retryable && outcome.error.code === 'engine_overloaded'

const mayAskAgain = (outcome: Outcome | undefined, { body }: Call, watch: Watch) =>
  outcome?.kind === 'error' &&
  outcome.retryable &&
  watch.stopped === undefined &&
  (body.rest === undefined || isUntouched(body.rest))

/** Nothing of a body that is passed on as it comes has gone to an engine yet. */
const isUntouched = (rest: Readable) => !rest.readableDidRead && !rest.destroyed

const refuse = (error: GatewayError): Outcome => ({ kind: 'error', error, engineFault: false, retryable: false })
