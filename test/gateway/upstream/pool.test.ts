// The engines of all pools: leases are counted, engines come and go, and the choice looks at what is there now.
import { describe, expect, it } from 'vitest'
import { createPool } from '../../../gateway/upstream/pool.ts'
import { endpoint, idOf, startPool } from '../../helpers/pool.ts'

const NONE: readonly string[] = []

describe('a lease', () => {
  it('goes to the engine with the fewest requests', () => {
    const { pool } = startPool()
    expect([1, 2, 3, 4].map(() => idOf(pool.lease('m', NONE)))).toEqual(['a', 'b', 'a', 'b'])
  })

  it('counts until it is disposed', () => {
    const { pool, inFlight } = startPool()
    const lease = pool.lease('m', NONE)
    const during = inFlight()
    lease?.[Symbol.dispose]()
    expect([during, inFlight()]).toEqual([
      { a: 1, b: 0 },
      { a: 0, b: 0 }
    ])
  })

  it('that is disposed twice counts once', () => {
    const { pool, inFlight } = startPool(['a'])
    const lease = pool.lease('m', NONE)
    pool.lease('m', NONE)
    lease?.[Symbol.dispose]()
    lease?.[Symbol.dispose]()
    expect(inFlight()).toEqual({ a: 1 })
  })

  it('is given back even where its user throws', () => {
    const { pool, inFlight } = startPool(['a'])
    const use = () => {
      using lease = pool.lease('m', NONE)
      throw new Error(`while at ${idOf(lease)}`)
    }
    expect(use).toThrow('while at a')
    expect(inFlight()).toEqual({ a: 0 })
  })

  it('does not go to an engine that was tried', () => {
    const { pool } = startPool()
    expect(idOf(pool.lease('m', ['a']))).toBe('b')
  })

  it('is not to be had when every engine was tried', () => {
    const { pool } = startPool()
    expect(pool.lease('m', ['a', 'b'])).toBeUndefined()
  })

  it('does not go to an engine that is not well', () => {
    const { pool, mark } = startPool()
    mark('a', false)
    expect(idOf(pool.lease('m', NONE))).toBe('b')
  })

  it('is not to be had in a pool without engines', () => {
    const { pool } = startPool()
    expect(pool.lease('other', NONE)).toBeUndefined()
  })

  it('does not go to an engine that keeps failing, until that has rested', () => {
    const { pool, clock } = startPool()
    for (let i = 0; i < 3; i++) pool.lease('m', ['b'])?.report('failed')
    const during = idOf(pool.lease('m', NONE))
    clock.nowMs = 60_000
    expect([during, idOf(pool.lease('m', ['b']))]).toEqual(['b', 'a'])
  })

  it('goes to an engine that keeps failing where there is no other', () => {
    const { pool } = startPool(['a'])
    for (let i = 0; i < 9; i++) pool.lease('m', NONE)?.report('failed')
    expect(idOf(pool.lease('m', NONE))).toBe('a')
  })
})

describe('an engine that goes', () => {
  it('gets no more leases', () => {
    const { pool } = startPool()
    pool.setEndpoints('main', [endpoint('b')])
    expect([1, 2].map(() => idOf(pool.lease('m', NONE)))).toEqual(['b', 'b'])
  })

  it('is watched no more, and its going is told', () => {
    const { pool, stopped, changes } = startPool()
    pool.setEndpoints('main', [endpoint('b')])
    expect([stopped, changes.at(-1)]).toEqual([['a'], 'a gone'])
  })

  it('may still give back an open lease', () => {
    const { pool, inFlight } = startPool()
    const lease = pool.lease('m', NONE)
    pool.setEndpoints('main', [endpoint('b')])
    lease?.[Symbol.dispose]()
    expect(inFlight()).toEqual({ b: 0 })
  })

  it('and comes back still has what it had, until that ends', () => {
    const { pool, mark, inFlight } = startPool()
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
    const { pool } = startPool()
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
    const { pool, mark } = startPool()
    for (let i = 0; i < 100; i++) pool.lease('m', ['a'])
    const all = [pool.hasOther('m', ['a']), pool.hasOther('m', ['a', 'b'])]
    mark('b', false)
    expect([...all, pool.hasOther('m', ['a'])]).toEqual([true, false, false])
  })
})

describe('an engine that stays', () => {
  it('keeps its count and its health when the list is told again', () => {
    const { pool, inFlight } = startPool()
    pool.lease('m', NONE)
    pool.setEndpoints('main', [endpoint('a'), endpoint('b'), endpoint('c')])
    expect([inFlight(), pool.healthyCount('main')]).toEqual([{ a: 1, b: 0, c: 0 }, 2])
  })

  it('is not watched twice', () => {
    const { pool, stopped } = startPool()
    pool.setEndpoints('main', [endpoint('a'), endpoint('b')])
    pool.close()
    expect(stopped).toEqual(['a', 'b'])
  })
})

describe('a new engine', () => {
  it('gets no lease before its health is known', () => {
    const { pool } = startPool(['a'])
    pool.setEndpoints('main', [endpoint('new')])
    expect(pool.lease('m', NONE)).toBeUndefined()
  })

  it('in one pool is none of another', () => {
    const { pool, mark } = startPool(['a'])
    pool.setEndpoints('other', [endpoint('x', 'other')])
    mark('x', true)
    expect([idOf(pool.lease('other', NONE)), idOf(pool.lease('m', NONE))]).toEqual(['x', 'a'])
  })
})
