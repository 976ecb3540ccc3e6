// A roster against a set: the same members whatever comes and goes, while it is visited, too.
import { describe, expect, it } from 'vitest'
import { type Member, Roster } from '../../../gateway/stream/roster.ts'
import { seeded } from '../../helpers/fakes.ts'

const member = (): Member => ({ place: -1 })

function membersOf(roster: Roster<Member>): Set<Member> {
  const found = new Set<Member>()
  roster.visit((one) => found.add(one))
  return found
}

describe('a roster', () => {
  it('has the members that a set has, in ten thousand changes', () => {
    const random = seeded(1)
    const [roster, set, all] = [new Roster<Member>(), new Set<Member>(), Array.from({ length: 20 }, member)]
    for (let i = 0; i < 10_000; i++) {
      const one = all[Math.floor(random() * all.length)] as Member
      if (set.delete(one)) roster.delete(one)
      else {
        set.add(one)
        roster.add(one)
      }
      expect([roster.size, membersOf(roster)]).toEqual([set.size, set])
    }
  })

  it('loses nobody else when one is removed twice', () => {
    const [roster, first, second] = [new Roster<Member>(), member(), member()]
    roster.add(first)
    roster.add(second)
    roster.delete(first)
    roster.delete(first)
    expect(membersOf(roster)).toEqual(new Set([second]))
  })
})

describe('a visit', () => {
  it('misses nobody who stays while others are removed', () => {
    const random = seeded(2)
    for (let round = 0; round < 500; round++) {
      const [roster, all, visited] = [new Roster<Member>(), Array.from({ length: 8 }, member), new Set<Member>()]
      for (const one of all) roster.add(one)
      const left = new Set(all)
      roster.visit((one) => {
        expect(left).toContain(one)
        visited.add(one)
        for (const other of all) {
          if (random() < 0.2 && left.delete(other)) roster.delete(other)
        }
      })
      expect([...left].filter((one) => !visited.has(one))).toEqual([])
    }
  })

  it('in which each removes itself comes to each', () => {
    const [roster, all] = [new Roster<Member>(), Array.from({ length: 5 }, member)]
    for (const one of all) roster.add(one)
    let visits = 0
    roster.visit((one) => {
      visits++
      roster.delete(one)
    })
    expect([visits, roster.size]).toEqual([5, 0])
  })
})
