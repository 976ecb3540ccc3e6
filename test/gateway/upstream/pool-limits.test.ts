// What a pool gives to engines that are full or fail: less at once, and by and by what they had.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { endpoint, idOf, startPool } from '../../helpers/pool.ts'

const NONE: readonly string[] = []

describe('an engine that refused one too many', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** An engine with three requests, of which it has just refused one. */
  function startFull() {
    const started = startPool(['a'])
    const [first, , last] = [1, 2, 3].map(() => started.pool.lease('m', NONE))
    last?.reportFull(1)
    last?.[Symbol.dispose]()
    return { ...started, first }
  }

  it('gets no more than it has', () => {
    const { pool } = startFull()
    expect([pool.room('main'), pool.lease('m', NONE), pool.snapshot()[0]?.maxActive]).toEqual([0, undefined, 2])
  })

  it('gets what it may still have places for where it refused a request that takes many', () => {
    const { pool } = startPool(['a'])
    const [, last] = [1, 2].map(() => pool.lease('m', NONE))
    last?.reportFull(2)
    expect(pool.snapshot()[0]?.maxActive).toBe(2)
    last?.reportFull(100)
    expect(pool.snapshot()[0]?.maxActive).toBe(2)
  })

  it('is still one that its breaker lets through', () => {
    const { pool } = startPool()
    for (let i = 0; i < 5; i++) {
      using lease = pool.lease('m', ['b'])
      lease?.reportFull(1)
    }
    expect([idOf(pool.lease('m', NONE)), pool.healthyCount('main')]).toEqual(['b', 2])
  })

  it('gets the next one when one of its own has ended', () => {
    const { pool, first } = startFull()
    first?.[Symbol.dispose]()
    expect(pool.room('main')).toBe(1)
  })

  it('has room again after a while, and says so', () => {
    const { pool, changes } = startFull()
    vi.advanceTimersByTime(500)
    expect([pool.room('main'), changes.at(-1)]).toEqual([1, 'room'])
  })

  it('that went, or a pool that is closed, says nothing more', () => {
    const gone = startFull()
    gone.pool.setEndpoints('main', [])
    const closed = startFull()
    closed.pool.close()
    vi.advanceTimersByTime(60_000)
    expect([gone.changes, closed.changes].map((changes) => changes.includes('room'))).toEqual([false, false])
  })
})

describe('what an engine was asked', () => {
  it('is counted by how it did, and not where that says nothing of it', () => {
    const { pool } = startPool(['a'])
    const results = ['ok', 'failed', 'ok'] as const
    for (const result of results) {
      using lease = pool.lease('m', NONE)
      lease?.report(result)
    }
    for (let left = 0; left < 4; left++) pool.lease('m', NONE)?.[Symbol.dispose]()
    pool.lease('m', NONE)?.reportFull(1)
    expect(pool.snapshot()[0]?.attempts).toEqual({ ok: 2, failed: 1, full: 1 })
  })
})

describe('an engine that keeps failing', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function startResting() {
    const started = startPool()
    for (let i = 0; i < 3; i++) {
      using lease = started.pool.lease('m', ['b'])
      lease?.report('failed')
    }
    return started
  }

  it('says when it has rested, for it has room again', () => {
    const { changes } = startResting()
    const before = changes.includes('room')
    vi.advanceTimersByTime(1_001)
    expect([before, changes.at(-1)]).toEqual([false, 'room'])
  })

  it('and gets a request all the same leaves the place that this had elsewhere to others, and says so', () => {
    const { pool, changes } = startResting()
    pool.lease('m', NONE)?.[Symbol.dispose]()
    const before = changes.includes('room')
    // it failed at b, and a guess is better than a refusal
    expect([idOf(pool.lease('m', ['b'])), before, changes.at(-1)]).toEqual(['a', false, 'room'])
  })

  it('gets one request at first when it has rested, and by and by as many as it had', () => {
    const { pool } = startResting()
    const held = pool.lease('m', ['b'])
    const maxActive = () => pool.snapshot()[0]?.maxActive
    const before = maxActive()
    vi.advanceTimersByTime(1_001)
    const first = maxActive()
    held?.[Symbol.dispose]()
    vi.advanceTimersByTime(500)
    const second = maxActive()
    vi.advanceTimersByTime(5_000)
    expect([before, first, second, maxActive()]).toEqual([100, 2, 3, 100])
  })

  it('gets what it always does where it is the only one', () => {
    const { pool, mark } = startResting()
    mark('b', false)
    vi.advanceTimersByTime(1_001)
    expect(pool.snapshot()[0]?.maxActive).toBe(100)
  })

  it('gets what it always does where every other one has failed as often, and none has succeeded since', () => {
    const { pool, clock } = startPool()
    for (const other of ['b', 'a'])
      for (let i = 0; i < 3; i++) {
        using lease = pool.lease('m', [other])
        lease?.report('failed')
      }
    clock.nowMs = 1_001
    vi.advanceTimersByTime(1_001)
    expect(pool.snapshot().map(({ maxActive }) => maxActive)).toEqual([100, 100])
  })

  it('and went says nothing more', () => {
    const { pool, changes } = startResting()
    pool.setEndpoints('main', [endpoint('b')])
    vi.advanceTimersByTime(60_000)
    expect(changes).not.toContain('room')
  })
})
