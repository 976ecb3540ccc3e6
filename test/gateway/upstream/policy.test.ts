// Which engine gets a request.
import { describe, expect, it } from 'vitest'
import { type Candidate, countRoom, pickEngine } from '../../../gateway/upstream/policy.ts'
import { seeded } from '../../helpers/fakes.ts'

const engine = (id: string, inFlight = 0, more: Partial<Candidate> = {}): Candidate => ({
  id,
  inFlight,
  maxActive: 100,
  healthy: true,
  allowed: true,
  ...more
})
const pick = (all: Candidate[], tried: string[] = [], random = () => 0) => pickEngine(all, tried, random)?.id

describe('the room', () => {
  it.each([
    ['is what healthy engines have left', [engine('a', 98), engine('b', 99)], 3],
    ['is not an engine’s that is not well', [engine('a', 0, { healthy: false }), engine('b', 99)], 1],
    ['is not an engine’s that rests', [engine('a', 0, { allowed: false }), engine('b', 99)], 1],
    ['is no less than none at an engine that has too many', [engine('a', 130), engine('b', 99)], 1]
  ])('%s', (_what, all, room) => {
    expect(countRoom(all)).toBe(room)
  })
})

describe('the choice', () => {
  it.each([
    ['the one with the fewest requests', [engine('a', 2), engine('b', 1), engine('c', 3)], [], 'b'],
    ['not the one that is not well', [engine('a', 0, { healthy: false }), engine('b', 9)], [], 'b'],
    ['not the one that was tried', [engine('a'), engine('b', 9)], ['a'], 'b'],
    ['not the one that is full', [engine('a', 1, { maxActive: 1 }), engine('b', 9)], [], 'b'],
    ['not the one that rests', [engine('a', 0, { allowed: false }), engine('b', 9)], [], 'b'],
    [
      'one that rests where all rest',
      [engine('a', 2, { allowed: false }), engine('b', 1, { allowed: false })],
      [],
      'b'
    ],
    ['one that rests where the others were tried', [engine('a', 0, { allowed: false }), engine('b')], ['b'], 'a'],
    [
      'none that rests where one that was tried is full: that one may be waited for',
      [engine('a', 0, { allowed: false }), engine('b', 1, { maxActive: 1 })],
      ['b'],
      undefined
    ],
    ['none where none is well', [engine('a', 0, { healthy: false, allowed: false })], [], undefined],
    ['none where all were tried', [engine('a')], ['a'], undefined],
    ['none of none', [], [], undefined]
  ])('is %s', (_what, all, tried, expected) => {
    expect(pick(all, tried)).toBe(expected)
  })

  it('reaches the last of equals with the largest random number', () => {
    expect(pick([engine('a'), engine('b'), engine('c')], [], () => 1 - Number.EPSILON)).toBe('c')
  })

  it('falls on equals about equally often', () => {
    const random = seeded(3)
    const counts = { a: 0, b: 0, c: 0 }
    for (let i = 0; i < 3_000; i++) counts[pick([engine('a'), engine('b'), engine('c')], [], random) as 'a']++
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(850)
  })
})
