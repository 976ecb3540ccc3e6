// One exchange over fake engines that behave as told, and what came of it.
import { createQueue } from '../../gateway/admission/queue.ts'
import type { EngineHandler, RequestRecord } from '../../gateway/call.ts'
import { exchange } from '../../gateway/exchange.ts'
import { createWatches } from '../../gateway/stream/watch.ts'
import { createPool } from '../../gateway/upstream/pool.ts'
import { DONE_EVENT, ERROR_FRAME, FakeEngine, FakeSink, FINISH, fakeCall, ROLE, TEXT } from './fakes.ts'
import { TIMERS } from './relay.ts'

/** What an engine does with a request. */
export type Behaviour = (engine: FakeEngine, handler: EngineHandler) => void

export const answers: Behaviour = (engine, handler) => {
  engine.streams().says(ROLE(), TEXT('a'), FINISH('stop'), DONE_EVENT)
  handler.onEnd()
}
export const refusesConnection: Behaviour = (_engine, handler) => handler.onError(new Error('ECONNREFUSED'))
export const givesUp: Behaviour = (engine) => void engine.streams().says(ROLE(), FINISH('abort'), DONE_EVENT)
export const breaksLate: Behaviour = (engine) => void engine.streams().says(ROLE(), TEXT('a'), ERROR_FRAME(500, 'boom'))
export const blames: Behaviour = (engine, handler) => {
  handler.onHead(400, {})
  engine.says('{"message":"too long"}')
  handler.onEnd()
}
export const breaksLateAsFull: Behaviour = (engine) =>
  void engine.streams().says(ROLE(), TEXT('a'), ERROR_FRAME(503, 'too much'))
export const hangs: Behaviour = () => {}
export const isFull: Behaviour = (engine, handler) => {
  handler.onHead(503, {})
  engine.says('{"message":"Request queue is full"}')
  handler.onEnd()
}
/** Behaves as each in turn, and as the last one from then on. */
export const inTurn = (...behaviours: Behaviour[]): Behaviour => {
  let turn = 0
  return (engine, handler) => behaviours[Math.min(turn++, behaviours.length - 1)]?.(engine, handler)
}

/** Runs a call over engines a, b, c, … that behave as told. */
export function run(behaviours: readonly Behaviour[], sink = new FakeSink(), maxAttempts = 3, call = fakeCall()) {
  const asked: string[] = []
  /** The body that each engine got. */
  const bodies: string[] = []
  const records: RequestRecord[] = []
  const faults: [string, unknown][] = []
  const engines = behaviours.map(() => new FakeEngine())
  const ids = behaviours.map((_, at) => 'abcdef'.charAt(at))
  const pool = createPool({
    poolOf: () => 'main',
    maxActiveOf: () => 8,
    now: () => 0,
    random: () => 0,
    watchHealth: (_endpoint, onChange) => {
      queueMicrotask(() => onChange(true))
      return () => {}
    },
    onChange: () => queue.pump(),
    onRoom: () => queue.pump()
  })
  const queue = createQueue(['main'], {
    poolOf: () => 'main',
    admitsBody: () => true,
    limitsOf: () => ({ maxQueued: 5, queueMs: 1_000, waitForEngine: behaviours.length > 0 }),
    roomOf: (name) => pool.room(name),
    inFlightOf: (name) => pool.inFlight(name),
    hasEngine: (name) => pool.healthyCount(name) > 0
  })
  pool.setEndpoints(
    'main',
    ids.map((id) => ({ id, origin: `http://${id}`, pool: 'main', engineKey: undefined }))
  )
  const clock = { nowMs: 0 }
  const watches = createWatches(TIMERS, { now: () => clock.nowMs })
  const outcome = exchange(call, sink, {
    watches,
    queue,
    pool,
    now: () => clock.nowMs,
    maxAttempts,
    record: (record) => records.push(record),
    onFault: (call, cause) => faults.push([call.id, cause]),
    open(lease, { body }, handler) {
      const at = ids.indexOf(lease.endpoint.id)
      asked.push(lease.endpoint.id)
      bodies.push(String(body.bytes))
      engines[at]?.open(handler)
      behaviours[at]?.(engines[at] as FakeEngine, handler)
    }
  }).finally(() => watches.close())
  const held = () => [
    pool.snapshot().reduce((sum, { inFlight }) => sum + inFlight, 0),
    queue.snapshot()[0]?.active,
    watches.size
  ]
  const queued = () => queue.snapshot()[0]?.queued
  const maxActive = () => pool.snapshot().map((engine) => engine.maxActive)
  return { outcome, sink, call, asked, bodies, records, faults, held, watches, queued, clock, maxActive, pool }
}

/** Lets the request come as far as it comes by itself. */
export const settle = () => new Promise((resolve) => setImmediate(resolve))
