// The engines of all pools: leases are counted, engines come and go, and the choice looks at what is there now.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Endpoint, Lease } from '../../../gateway/call.ts'
import { createPool } from '../../../gateway/upstream/pool.ts'

const endpoint = (id: string, pool = 'main'): Endpoint => ({ id, origin: `http://${id}`, pool, engineKey: undefined })
const NONE: readonly string[] = []

/** Two engines, a and b, both healthy; `mark` is what a health probe would tell. */
function start(ids: readonly string[] = ['a', 'b']) {
  const marks = new Map<string, (healthy: boolean) => void>()
  const stopped: string[] = []
  const changes: string[] = []
  const clock = { nowMs: 0 }
  const pool = createPool({
    poolOf: (model) => (model === 'm' ? 'main' : model),
    maxActiveOf: () => 100,
    now: () => clock.nowMs,
    random: () => 0,
    watchHealth: ({ id }, onChange) => {
      marks.set(id, onChange)
      return () => void stopped.push(id)
    },
    onChange: ({ id }, state) => void changes.push(`${id} ${state}`),
    onRoom: () => void changes.push('room')
  })
  pool.setEndpoints(
    'main',
    ids.map((id) => endpoint(id))
  )
  const mark = (id: string, healthy: boolean) => marks.get(id)?.(healthy)
  for (const id of ids) mark(id, true)
  const inFlight = () => Object.fromEntries(pool.snapshot().map((engine) => [engine.endpoint.id, engine.inFlight]))
  return { pool, mark, stopped, changes, clock, inFlight }
}

const idOf = (lease: Lease | undefined) => lease?.endpoint.id

describe('a lease', () => {
  it('goes to the engine with the fewest requests', () => {
    const { pool } = start()
    expect([1, 2, 3, 4].map(() => idOf(pool.lease('m', NONE)))).toEqual(['a', 'b', 'a', 'b'])
  })

  it('counts until it is disposed', () => {
    const { pool, inFlight } = start()
    const lease = pool.lease('m', NONE)
    const during = inFlight()
    lease?.[Symbol.dispose]()
    expect([during, inFlight()]).toEqual([
      { a: 1, b: 0 },
      { a: 0, b: 0 }
    ])
  })

  it('that is disposed twice counts once', () => {
    const { pool, inFlight } = start(['a'])
    const lease = pool.lease('m', NONE)
    pool.lease('m', NONE)
    lease?.[Symbol.dispose]()
    lease?.[Symbol.dispose]()
    expect(inFlight()).toEqual({ a: 1 })
  })

  it('is given back even where its user throws', () => {
    const { pool, inFlight } = start(['a'])
    const use = () => {
      using lease = pool.lease('m', NONE)
      throw new Error(`while at ${idOf(lease)}`)
    }
    expect(use).toThrow('while at a')
    expect(inFlight()).toEqual({ a: 0 })
  })

  it('does not go to an engine that was tried', () => {
    const { pool } = start()
    expect(idOf(pool.lease('m', ['a']))).toBe('b')
  })

  it('is not to be had when every engine was tried', () => {
    const { pool } = start()
    expect(pool.lease('m', ['a', 'b'])).toBeUndefined()
  })

  it('does not go to an engine that is not well', () => {
    const { pool, mark } = start()
    mark('a', false)
    expect(idOf(pool.lease('m', NONE))).toBe('b')
  })

  it('is not to be had in a pool without engines', () => {
    const { pool } = start()
    expect(pool.lease('other', NONE)).toBeUndefined()
  })

  it('does not go to an engine that keeps failing, until that has rested', () => {
    const { pool, clock } = start()
    for (let i = 0; i < 3; i++) pool.lease('m', ['b'])?.report('failed')
    const during = idOf(pool.lease('m', NONE))
    clock.nowMs = 60_000
    expect([during, idOf(pool.lease('m', ['b']))]).toEqual(['b', 'a'])
  })

  it('goes to an engine that keeps failing where there is no other', () => {
    const { pool } = start(['a'])
    for (let i = 0; i < 9; i++) pool.lease('m', NONE)?.report('failed')
    expect(idOf(pool.lease('m', NONE))).toBe('a')
  })
})

describe('an engine that goes', () => {
  it('gets no more leases', () => {
    const { pool } = start()
    pool.setEndpoints('main', [endpoint('b')])
    expect([1, 2].map(() => idOf(pool.lease('m', NONE)))).toEqual(['b', 'b'])
  })

  it('is watched no more, and its going is told', () => {
    const { pool, stopped, changes } = start()
    pool.setEndpoints('main', [endpoint('b')])
    expect([stopped, changes.at(-1)]).toEqual([['a'], 'a gone'])
  })

  it('may still give back an open lease', () => {
    const { pool, inFlight } = start()
    const lease = pool.lease('m', NONE)
    pool.setEndpoints('main', [endpoint('b')])
    lease?.[Symbol.dispose]()
    expect(inFlight()).toEqual({ b: 0 })
  })

  it('and comes back still has what it had, until that ends', () => {
    const { pool, mark, inFlight } = start()
    const [first, second] = [pool.lease('m', ['b']), pool.lease('m', ['b'])]
    pool.setEndpoints('main', [endpoint('b')])
    first?.[Symbol.dispose]()
    pool.setEndpoints('main', [endpoint('b')])
    pool.setEndpoints('main', [endpoint('a'), endpoint('b')])
    mark('a', true)
    const back = [inFlight(), idOf(pool.lease('m', NONE))]
    second?.[Symbol.dispose]()
    expect([back, inFlight()]).toEqual([[{ a: 1, b: 0 }, 'b'], { a: 0, b: 1 }])
  })

  it('and whose address is another pool’s afterwards leaves nothing of what it had to that pool', () => {
    const { pool } = start()
    pool.lease('m', ['b'])
    pool.setEndpoints('main', [endpoint('b')])
    pool.setEndpoints('other', [endpoint('a', 'other')])
    expect(pool.snapshot().map((engine) => [engine.endpoint.pool, engine.inFlight])).toEqual([
      ['main', 0],
      ['other', 0]
    ])
  })

  it('is not well any more when its going is told', () => {
    const counts: number[] = []
    const pool = createPool({
      poolOf: () => 'main',
      maxActiveOf: () => 100,
      now: () => 0,
      random: () => 0,
      watchHealth: (_endpoint, onChange) => {
        queueMicrotask(() => onChange(true))
        return () => {}
      },
      onChange: () => void counts.push(pool.healthyCount('main')),
      onRoom() {}
    })
    pool.setEndpoints('main', [endpoint('a')])
    return Promise.resolve().then(() => {
      pool.setEndpoints('main', [])
      expect(counts).toEqual([1, 0])
    })
  })
})

describe('another engine', () => {
  it('is a healthy one that was not tried, be it full', () => {
    const { pool, mark } = start()
    for (let i = 0; i < 100; i++) pool.lease('m', ['a'])
    const all = [pool.hasOther('m', ['a']), pool.hasOther('m', ['a', 'b'])]
    mark('b', false)
    expect([...all, pool.hasOther('m', ['a'])]).toEqual([true, false, false])
  })
})

describe('an engine that refused one too many', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** An engine with three requests, of which it has just refused one. */
  function startFull() {
    const started = start(['a'])
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
    const { pool } = start(['a'])
    const [, last] = [1, 2].map(() => pool.lease('m', NONE))
    last?.reportFull(2)
    expect(pool.snapshot()[0]?.maxActive).toBe(2)
    last?.reportFull(100)
    expect(pool.snapshot()[0]?.maxActive).toBe(2)
  })

  it('is still one that its breaker lets through', () => {
    const { pool } = start()
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
    const { pool } = start(['a'])
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
    const started = start()
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
    const { pool, clock } = start()
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

describe('an engine that stays', () => {
  it('keeps its count and its health when the list is told again', () => {
    const { pool, inFlight } = start()
    pool.lease('m', NONE)
    pool.setEndpoints('main', [endpoint('a'), endpoint('b'), endpoint('c')])
    expect([inFlight(), pool.healthyCount('main')]).toEqual([{ a: 1, b: 0, c: 0 }, 2])
  })

  it('is not watched twice', () => {
    const { pool, stopped } = start()
    pool.setEndpoints('main', [endpoint('a'), endpoint('b')])
    pool.close()
    expect(stopped).toEqual(['a', 'b'])
  })
})

describe('a new engine', () => {
  it('gets no lease before its health is known', () => {
    const { pool } = start(['a'])
    pool.setEndpoints('main', [endpoint('new')])
    expect(pool.lease('m', NONE)).toBeUndefined()
  })

  it('in one pool is none of another', () => {
    const { pool, mark } = start(['a'])
    pool.setEndpoints('other', [endpoint('x', 'other')])
    mark('x', true)
    expect([idOf(pool.lease('other', NONE)), idOf(pool.lease('m', NONE))]).toEqual(['x', 'a'])
  })
})
