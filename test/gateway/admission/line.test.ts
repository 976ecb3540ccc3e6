// The line of one pool: whose turn is next, and who has none any more.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Line } from '../../../gateway/admission/line.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A line, and the names of those who had their turns. */
function start() {
  const line = new Line()
  const turns: string[] = []
  const named = (name: string) => () => void turns.push(name)
  const takeAll = () => {
    for (let next = line.takeNext(); next !== undefined; next = line.takeNext()) next()
    return turns
  }
  return { line, named, takeAll }
}

describe('a line', () => {
  it('keeps the order, and lets those that return take every other turn, the first one', () => {
    const { line, named, takeAll } = start()
    for (const name of ['a', 'b', 'c']) line.add(named(name))
    for (const name of ['A', 'B']) line.addAgain(named(name))
    expect([line.ready, line.hasReturned, takeAll(), line.length]).toEqual([5, true, ['A', 'a', 'B', 'b', 'c'], 0])
  })

  it('tells nobody who has left', () => {
    const { line, named, takeAll } = start()
    const [first, second, third] = ['a', 'b', 'c'].map(named) as [() => void, () => void, () => void]
    line.add(first)
    line.addAgain(second)
    line.addLater(third, () => {})
    for (const one of [first, second, third]) line.delete(one)
    expect([line.length, takeAll(), vi.getTimerCount()]).toEqual([0, [], 0])
  })

  it('holds up nobody for one that pauses, which then is among those that return', () => {
    const { line, named, takeAll } = start()
    const told: number[] = []
    line.addLater(named('A'), () => void told.push(line.ready))
    line.add(named('a'))
    const during = [line.length, line.ready, line.hasReturned]
    vi.advanceTimersByTime(500)
    expect([during, told, takeAll()]).toEqual([[2, 1, false], [2], ['A', 'a']])
  })
})
