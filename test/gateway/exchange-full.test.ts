// One request whose engines are full: how long it waits, where it is asked next, and what the engines' limits are told.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Lease } from '../../gateway/call.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { HEARTBEAT } from '../../gateway/stream/sse.ts'
import {
  answers,
  type Behaviour,
  breaksLateAsFull,
  hangs,
  inTurn,
  isFull,
  refusesConnection,
  run,
  settle
} from '../helpers/exchange.ts'
import { DONE_EVENT, FakeSink, FINISH, fakeCall, ROLE, TEXT } from '../helpers/fakes.ts'
import { TIMERS } from '../helpers/relay.ts'

/** How often engines were asked: now, and just before and at the end of each of two half seconds. */
async function countHalfSeconds(asked: readonly string[]): Promise<number[]> {
  await settle()
  const counts = [asked.length]
  for (const ms of [499, 1, 499, 1]) {
    await vi.advanceTimersByTimeAsync(ms)
    await settle()
    counts.push(asked.length)
  }
  return counts
}

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
    expect(await countHalfSeconds(asked)).toEqual([1, 1, 2, 2, 3])
    sink.leave()
    await outcome
  })

  it('keeps the engine from nobody with the many places that it takes, and asks no more often', async () => {
    const { asked, sink, outcome, maxActive } = run([isFull], new FakeSink(), 3, fakeCall({ places: 9 }))
    expect([await countHalfSeconds(asked), maxActive()]).toEqual([[1, 1, 2, 2, 3], [8]])
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
