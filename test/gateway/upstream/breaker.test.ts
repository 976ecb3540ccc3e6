// An engine that keeps failing rests, longer each time.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBreaker } from '../../../gateway/upstream/breaker.ts'

function start() {
  const clock = { nowMs: 5_000 }
  const breaker = createBreaker(
    () => clock.nowMs,
    () => {}
  )
  const fail = (times = 1) => {
    for (let i = 0; i < times; i++) breaker.report('failed')
  }
  /** How long it rests from now on, to 100 ms. */
  const restMs = () => {
    const since = clock.nowMs
    while (!breaker.allowed) clock.nowMs += 100
    return clock.nowMs - since
  }
  return { breaker, fail, restMs }
}

describe('a breaker', () => {
  it.each([0, 1, 2])('lets requests through after %i failures', (times) => {
    const { breaker, fail } = start()
    fail(times)
    expect(breaker.allowed).toBe(true)
  })

  it('rests for a second after three failures in a row', () => {
    const { fail, restMs } = start()
    fail(3)
    expect(restMs()).toBe(1_000)
  })

  it('forgets failures at a success', () => {
    const { breaker, fail } = start()
    fail(2)
    breaker.report('ok')
    fail(2)
    expect(breaker.allowed).toBe(true)
  })

  it('rests twice as long for each failure after a rest, up to half a minute', () => {
    const { fail, restMs } = start()
    fail(2)
    const rests = Array.from({ length: 7 }, () => {
      fail()
      return restMs()
    })
    expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  })

  it('closes at the first success after a rest', () => {
    const { breaker, fail, restMs } = start()
    fail(3)
    restMs()
    const onTrial = breaker.closed
    breaker.report('ok')
    fail(2)
    expect([onTrial, breaker.closed, breaker.allowed]).toEqual([false, true, true])
  })

  it('takes the failures of requests that were at the engine together for one rest, the first one', () => {
    const { fail, restMs } = start()
    fail(50)
    expect(restMs()).toBe(1_000)
  })
})

describe('the end of a rest', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** A breaker on the clock of the timers, and whether it let requests through each time that a rest had ended. */
  function startTelling() {
    const told: boolean[] = []
    const breaker = createBreaker(
      () => performance.now(),
      () => void told.push(breaker.allowed)
    )
    for (let i = 0; i < 3; i++) breaker.report('failed')
    return { breaker, told }
  }

  it('is told once, when requests may be sent again', () => {
    const { told } = startTelling()
    vi.advanceTimersByTime(999)
    const before = [...told]
    vi.advanceTimersByTime(60_000)
    expect([before, told]).toEqual([[], [true]])
  })

  it('is told of a longer rest, too', () => {
    const { breaker, told } = startTelling()
    vi.advanceTimersByTime(1_001)
    breaker.report('failed')
    vi.advanceTimersByTime(1_999)
    const during = told.length
    vi.advanceTimersByTime(2)
    expect([during, told]).toEqual([1, [true, true]])
  })

  it('is told of the longer rest alone where this begins before the end of the first one is told', () => {
    const { breaker, told } = startTelling()
    vi.advanceTimersByTime(1_000)
    breaker.report('failed')
    vi.advanceTimersByTime(60_000)
    expect(told).toEqual([true])
  })

  it('is told no more once it is stopped', () => {
    const { breaker, told } = startTelling()
    breaker.stop()
    vi.advanceTimersByTime(1_500)
    // a request of an engine that went may still fail
    breaker.report('failed')
    vi.advanceTimersByTime(60_000)
    expect([told, vi.getTimerCount()]).toEqual([[], 0])
  })
})
