// Whether an engine is well, as a probe tells again and again.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { watchHealth } from '../../../gateway/upstream/health.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Answers the probes in turn, the last one for ever, and logs what changes and when. */
function start(answers: (boolean | string)[], intervalMs = 2_000) {
  const log: string[] = []
  const failures: string[] = []
  const timeouts: number[] = []
  let asked = 0
  const startedMs = Date.now()
  const stop = watchHealth({
    intervalMs,
    probe: async (timeoutMs) => {
      timeouts.push(timeoutMs)
      const answer = answers[Math.min(asked++, answers.length - 1)]
      return answer === true ? undefined : String(answer)
    },
    onFailure: (why) => failures.push(why),
    onChange: (healthy) => log.push(`${healthy ? 'up' : 'down'} at ${Date.now() - startedMs}`)
  })
  return { log, failures, timeouts, stop, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms), asked: () => asked }
}

describe('health', () => {
  it('is asked for at once', async () => {
    const { log, pass } = start([true])
    await pass(0)
    expect(log).toEqual(['up at 0'])
  })

  it('is lost with the second failure in a row', async () => {
    const { log, pass } = start([true, false, false])
    await pass(4_000)
    expect(log).toEqual(['up at 0', 'down at 4000'])
  })

  it('is not lost with one failure now and then', async () => {
    const { log, pass } = start([true, false, true, false, true, false, true])
    await pass(12_000)
    expect(log).toEqual(['up at 0'])
  })

  it('is back with one success, which is looked for more often', async () => {
    const { log, pass } = start([true, false, false, false, true])
    await pass(5_000)
    expect(log).toEqual(['up at 0', 'down at 4000', 'up at 5000'])
  })

  it('that was never there is not told of as lost', async () => {
    const { log, pass } = start([false])
    await pass(5_000)
    expect(log).toEqual([])
  })

  it('is told of with each other reason for which it is not there', async () => {
    const { failures, pass } = start([
      'refused',
      'refused',
      'no answer',
      true,
      true,
      'no answer',
      'no answer',
      'refused'
    ])
    await pass(20_000)
    expect(failures).toEqual(['refused', 'no answer', 'no answer', 'refused'])
  })

  it('that stays is told once', async () => {
    const { log, pass, asked } = start([true])
    await pass(6_000)
    expect([log, asked()]).toEqual([['up at 0'], 4])
  })

  it.each([
    [200, 1_000],
    [5_000, 5_000]
  ])('asked for every %i ms may be answered within %i', async (intervalMs, timeoutMs) => {
    const { timeouts, pass } = start([true], intervalMs)
    await pass(0)
    expect(timeouts).toEqual([timeoutMs])
  })

  it('is asked for no more after a stop', async () => {
    const { asked, stop, pass } = start([true])
    await pass(0)
    stop()
    await pass(10_000)
    expect(asked()).toBe(1)
  })

  it('that is answered after a stop is told to nobody', async () => {
    const { log, stop, pass } = start([true])
    stop()
    await pass(0)
    expect(log).toEqual([])
  })
})
