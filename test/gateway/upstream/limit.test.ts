// How many requests an engine gets at once after it has refused one.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLimit } from '../../../gateway/upstream/limit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the limit of an engine', () => {
  it('is what it was made with until the engine refuses', () => {
    expect(createLimit(8, () => {}).maxActive).toBe(8)
  })

  it('is then as many as the engine has, even none', () => {
    const limit = createLimit(8, () => {})
    limit.lower(3)
    const three = limit.maxActive
    limit.lower(0)
    expect([three, limit.maxActive]).toEqual([3, 0])
  })

  it('is not raised by a refusal that comes late', () => {
    const limit = createLimit(8, () => {})
    limit.lower(2)
    limit.lower(5)
    expect(limit.maxActive).toBe(2)
  })

  it('goes on growing as it did when a refusal says nothing new', () => {
    const limit = createLimit(8, () => {})
    limit.lower(8)
    const untouched = vi.getTimerCount()
    limit.lower(2)
    vi.advanceTimersByTime(499)
    limit.lower(6)
    vi.advanceTimersByTime(1)
    expect([untouched, limit.maxActive]).toEqual([0, 3])
  })

  it('grows by one, two, four, … more to where it was, tells of each, and then rests', () => {
    const told: number[] = []
    const limit = createLimit(8, () => void told.push(limit.maxActive))
    limit.lower(0)
    vi.advanceTimersByTime(60_000)
    expect([told, vi.getTimerCount()]).toEqual([[1, 3, 7, 8], 0])
  })

  it('grows by one again after the next refusal', () => {
    const limit = createLimit(100, () => {})
    limit.lower(10)
    vi.advanceTimersByTime(1_000)
    const before = limit.maxActive
    limit.lower(12)
    vi.advanceTimersByTime(499)
    const during = limit.maxActive
    vi.advanceTimersByTime(1)
    expect([before, during, limit.maxActive]).toEqual([13, 12, 13])
  })

  it('stops growing when it is told to', () => {
    const limit = createLimit(8, () => {})
    limit.lower(4)
    limit.stop()
    // a request of an engine that went may still be refused
    limit.lower(2)
    expect([limit.maxActive, vi.getTimerCount()]).toEqual([2, 0])
  })
})
