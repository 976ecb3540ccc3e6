// One request from admission to outcome over fake engines: what is retried, what is given back, what is recorded.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createQueue } from '../../gateway/admission/queue.ts'
import type { EngineHandler, Lease, RequestRecord } from '../../gateway/call.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { exchange } from '../../gateway/exchange.ts'
import { HEARTBEAT } from '../../gateway/stream/sse.ts'
import { createWatches } from '../../gateway/stream/watch.ts'
import { createPool } from '../../gateway/upstream/pool.ts'
import { DONE_EVENT, ERROR_FRAME, FakeEngine, FakeSink, FINISH, fakeCall, ROLE, TEXT } from '../helpers/fakes.ts'
import { TIMERS } from '../helpers/relay.ts'

type Behaviour = (engine: FakeEngine, handler: EngineHandler) => void

const answers: Behaviour = (engine, handler) => {
  engine.streams().says(ROLE(), TEXT('a'), FINISH('stop'), DONE_EVENT)
  handler.onEnd()
}
const refusesConnection: Behaviour = (_engine, handler) => handler.onError(new Error('ECONNREFUSED'))
const givesUp: Behaviour = (engine) => void engine.streams().says(ROLE(), FINISH('abort'), DONE_EVENT)
const breaksLate: Behaviour = (engine) => void engine.streams().says(ROLE(), TEXT('a'), ERROR_FRAME(500, 'boom'))
const blames: Behaviour = (engine, handler) => {
  handler.onHead(400, {})
  engine.says('{"message":"too long"}')
  handler.onEnd()
}
const breaksLateAsFull: Behaviour = (engine) =>
  void engine.streams().says(ROLE(), TEXT('a'), ERROR_FRAME(503, 'too much'))
const hangs: Behaviour = () => {}
const isFull: Behaviour = (engine, handler) => {
  handler.onHead(503, {})
  engine.says('{"message":"Request queue is full"}')
  handler.onEnd()
}
/** Behaves as each in turn, and as the last one from then on. */
const inTurn = (...behaviours: Behaviour[]): Behaviour => {
  let turn = 0
  return (engine, handler) => behaviours[Math.min(turn++, behaviours.length - 1)]?.(engine, handler)
}

/** Runs a call over engines a, b, c, … that behave as told. */
function run(behaviours: readonly Behaviour[], sink = new FakeSink(), maxAttempts = 3, call = fakeCall()) {
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
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('a request', () => {
  it('is answered by one engine', async () => {
    const { outcome, sink, asked } = run([answers, answers])
    expect([await outcome, asked, sink.text]).toEqual([
      { kind: 'complete' },
      ['a'],
      ROLE() + TEXT('a') + FINISH('stop') + DONE_EVENT
    ])
  })

  it.each([
    ['refuses the connection', refusesConnection],
    ['gives up before its first token', givesUp]
  ])('goes to the next engine where one %s', async (_how, fails) => {
    const { outcome, sink, asked } = run([fails, answers])
    expect([await outcome, asked, sink.text]).toEqual([
      { kind: 'complete' },
      ['a', 'b'],
      ROLE() + TEXT('a') + FINISH('stop') + DONE_EVENT
    ])
  })

  it('has its whole body for each engine that is asked, and none once one has begun to answer', async () => {
    const { outcome, call, bodies } = run([givesUp, refusesConnection, answers])
    await outcome
    expect([bodies, call.body.bytes.length]).toEqual([Array(3).fill('{"model":"m"}'), 0])
  })

  it('never goes to another engine after the first token', async () => {
    const { outcome, asked, sink } = run([breaksLate, answers])
    await outcome
    expect([asked, sink.text, sink.failure?.code]).toEqual([['a'], ROLE() + TEXT('a'), 'upstream_error'])
  })

  it('never goes to another engine when it is itself at fault', async () => {
    const { outcome, asked, sink } = run([blames, answers])
    await outcome
    expect([asked, sink.failure?.message]).toEqual([['a'], 'too long'])
  })

  it('goes to no more engines than it may', async () => {
    const { outcome, asked } = run([refusesConnection, refusesConnection, answers], new FakeSink(), 2)
    await outcome
    expect(asked).toEqual(['a', 'b'])
  })

  it('that no engine answers fails once', async () => {
    const { outcome, sink, asked } = run([refusesConnection, refusesConnection])
    await outcome
    expect([asked, sink.failure?.code]).toEqual([['a', 'b'], 'upstream_error'])
  })

  it('without any engine is refused', async () => {
    const { outcome, sink } = run([])
    await outcome
    expect(sink.failure?.code).toBe('no_engine')
  })

  it('whose reader leaves is over, and its reader is told nothing', async () => {
    const { outcome, sink } = run([hangs])
    await settle()
    sink.leave()
    expect([await outcome, sink.failure]).toEqual([{ kind: 'client_gone' }, undefined])
  })

  it('whose reader left before it began asks nobody', async () => {
    const sink = new FakeSink()
    sink.left = true
    const { outcome, asked } = run([answers], sink)
    expect([await outcome, asked]).toEqual([{ kind: 'client_gone' }, []])
  })

  it('that is stopped from outside tells its reader why', async () => {
    const { outcome, sink, watches } = run([hangs])
    await settle()
    watches.stopAll(new GatewayError('shutting_down'))
    await outcome
    expect(sink.failure?.code).toBe('shutting_down')
  })

  it('in which something breaks tells its reader nothing of it', async () => {
    const { outcome, sink } = run([
      () => {
        throw new Error('a mistake of ours')
      }
    ])
    await outcome
    expect(sink.failure?.message).toBe('The gateway failed. The request id is in the header.')
  })
})

describe('a request that every engine refuses as one too many', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('stands in line, holds nothing, and is answered once an engine has room', async () => {
    const { outcome, asked, bodies, sink, held, queued } = run([inTurn(isFull, answers), inTurn(isFull, answers)])
    await settle()
    const waiting = [...asked, held(), queued(), sink.headSent]
    await vi.advanceTimersByTimeAsync(500)
    expect([waiting, await outcome, asked.length]).toEqual([['a', 'b', [0, 0, 1], 1, false], { kind: 'complete' }, 3])
    expect([sink.text, bodies]).toEqual([
      ROLE() + TEXT('a') + FINISH('stop') + DONE_EVENT,
      Array(3).fill('{"model":"m"}')
    ])
  })

  it('is asked of an engine no more often than its limit grows', async () => {
    const { asked, sink, outcome } = run([isFull])
    await settle()
    const counts = [asked.length]
    for (const ms of [499, 1, 499, 1]) {
      await vi.advanceTimersByTimeAsync(ms)
      await settle()
      counts.push(asked.length)
    }
    expect(counts).toEqual([1, 1, 2, 2, 3])
    sink.leave()
    await outcome
  })

  it('keeps the engine from nobody with the many places that it takes, and asks no more often', async () => {
    const { asked, sink, outcome, maxActive } = run([isFull], new FakeSink(), 3, fakeCall({ places: 9 }))
    await settle()
    const counts = [asked.length]
    for (const ms of [499, 1, 499, 1]) {
      await vi.advanceTimersByTimeAsync(ms)
      await settle()
      counts.push(asked.length)
    }
    expect([counts, maxActive()]).toEqual([[1, 1, 2, 2, 3], [8]])
    sink.leave()
    await outcome
  })

  it('waits as well for one that is full of others when it fails', async () => {
    const others: (Lease | undefined)[] = []
    const failsWhileOthersFillB: Behaviour = (_engine, handler) => {
      for (let i = 0; i < 8; i++) others.push(started.pool.lease('m', ['a']))
      handler.onError(new Error('ECONNRESET'))
    }
    const started = run([inTurn(failsWhileOthersFillB, refusesConnection), answers])
    await settle()
    const waiting = [...started.asked, started.queued()]
    for (const lease of others) lease?.[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(500)
    expect([waiting, await started.outcome, started.asked]).toEqual([['a', 1], { kind: 'complete' }, ['a', 'a', 'b']])
  })

  it('says nothing of an engine’s room once it has been answered in part', async () => {
    const { outcome, asked, maxActive, sink } = run([breaksLateAsFull])
    await outcome
    expect([asked, sink.failure?.code, maxActive()]).toEqual([['a'], 'engine_overloaded', [8]])
  })

  it('is asked at once of engines that were more than it may try in a row', async () => {
    const { outcome, asked } = run([isFull, isFull, answers], new FakeSink(), 2)
    expect([await outcome, asked]).toEqual([{ kind: 'complete' }, ['a', 'b', 'c']])
  })

  it.each([
    ['failed first', [inTurn(refusesConnection, hangs), inTurn(isFull, answers)], 'b'],
    ['failed last', [inTurn(isFull, answers), inTurn(refusesConnection, hangs)], 'a']
  ])('waits for it though another one %s, and asks neither again at once', async (_which, behaviours, full) => {
    const { outcome, asked, queued, sink, maxActive } = run(behaviours, new FakeSink(), 4)
    await settle()
    const before = [[...asked], queued(), maxActive()[full === 'a' ? 0 : 1]]
    await vi.advanceTimersByTimeAsync(500)
    await settle()
    expect([before, asked.length]).toEqual([[['a', 'b'], 1, 0], 3])
    sink.leave()
    await outcome
  })

  it.each([
    [[refusesConnection, inTurn(isFull, answers)], ['a', 'b', 'a', 'b'], 'complete'],
    [[inTurn(isFull, answers), refusesConnection], ['a', 'b', 'a'], 'complete'],
    [[refusesConnection, isFull], ['a', 'b', 'a', 'b', 'a'], 'error']
  ])('is asked of failing engines as often as it may try one, over all its turns', async (behaviours, order, kind) => {
    const { outcome, asked, held } = run(behaviours)
    await settle()
    for (let turn = 0; turn < 3; turn++) {
      await vi.advanceTimersByTimeAsync(500)
      await settle()
    }
    expect([asked, (await outcome).kind, held()]).toEqual([order, kind, [0, 0, 0]])
  })

  it('is told so once it has waited as long as it may', async () => {
    const { outcome, asked, sink, records, clock, held } = run([isFull])
    await settle()
    clock.nowMs = 700
    await vi.advanceTimersByTimeAsync(500)
    await settle()
    clock.nowMs = 1_000
    await vi.advanceTimersByTimeAsync(300)
    expect([(await outcome).kind, asked.length, sink.failure?.code]).toEqual(['error', 2, 'engine_overloaded'])
    expect([held(), records]).toMatchObject([[0, 0, 0], [{ queuedMs: 1_000, attempts: 2 }]])
  })

  it('hears beats while it waits, and is not late with its first token', async () => {
    const { outcome, sink, clock } = run([isFull])
    await settle()
    clock.nowMs = TIMERS.firstTokenMs + 1
    while (sink.text === '' && sink.failure === undefined) await settle()
    expect([sink.text, sink.failure]).toEqual([HEARTBEAT.toString(), undefined])
    sink.leave()
    await outcome
  })

  it('leaves the line with its reader', async () => {
    const { outcome, asked, sink, held, queued } = run([isFull])
    await settle()
    sink.leave()
    expect([await outcome, held(), queued(), asked]).toEqual([{ kind: 'client_gone' }, [0, 0, 0], 0, ['a']])
  })

  it('hears in line that the gateway shuts down', async () => {
    const { outcome, sink, watches } = run([isFull])
    await settle()
    watches.stopAll(new GatewayError('shutting_down'))
    await outcome
    expect(sink.failure?.code).toBe('shutting_down')
  })
})

describe('however a request ends', () => {
  it('whatever its sink throws is told as a fault, and rejects nothing', async () => {
    const cause = new Error('no socket')
    class BrokenSink extends FakeSink {
      override fail(): void {
        throw cause
      }
    }
    const { outcome, call, faults, held } = run([], new BrokenSink())
    expect((await outcome).kind).toBe('error')
    expect([faults, held()]).toEqual([[[call.id, cause]], [0, 0, 0]])
  })

  it.each<[string, readonly Behaviour[], string]>([
    ['complete', [answers], 'complete'],
    ['after a retry', [refusesConnection, answers], 'complete'],
    ['with an error', [breaksLate], 'error'],
    ['refused by its engine', [blames], 'error'],
    [
      'by a mistake of ours',
      [
        () => {
          throw new Error('a mistake')
        }
      ],
      'error'
    ]
  ])('%s, everything is given back and it is recorded once', async (_how, behaviours, kind) => {
    const { outcome, held, records } = run(behaviours)
    await outcome
    expect([held(), records.map((record) => record.outcome.kind)]).toEqual([[0, 0, 0], [kind]])
  })

  it('with its reader gone, everything is given back', async () => {
    const { outcome, sink, held } = run([hangs])
    await settle()
    const before = held()
    sink.leave()
    await outcome
    expect([before, held()]).toEqual([
      [1, 1, 1],
      [0, 0, 0]
    ])
  })

  it('the record names the engine that was asked last and how many were', async () => {
    const { outcome, records } = run([refusesConnection, answers])
    await outcome
    expect(records).toMatchObject([{ endpoint: 'b', attempts: 2 }])
  })
})
