import { describe, expect, it } from 'vitest'
import { DEFAULT_PACE, planPrefill, stepMs } from '../../../gateway/sim/pace.ts'
import { createRandom } from '../../../gateway/sim/random.ts'

const exact = { ...DEFAULT_PACE, jitter: 0 }
const random = createRandom(1)

describe('a step', () => {
  it('takes as long as the load factor says, linear from one sequence to a full batch', () => {
    expect([1, 129, 256].map((batch) => stepMs(exact, batch, 257, random))).toEqual([12, 18, 23.953125])
    expect(stepMs(exact, 257, 257, random)).toBe(24)
  })

  it('takes the same with one sequence where only one may run', () => {
    expect(stepMs(exact, 1, 1, random)).toBe(12)
  })

  it('varies with the jitter about its mean, never by more than 70 percent', () => {
    const samples = Array.from({ length: 2_000 }, () => stepMs({ ...DEFAULT_PACE, jitter: 0.6 }, 1, 256, random))
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
    expect(mean).toBeGreaterThan(11.3)
    expect(mean).toBeLessThan(12.7)
    expect(Math.min(...samples)).toBeGreaterThanOrEqual(12 * 0.3 - 1e-9)
    expect(Math.max(...samples)).toBeLessThanOrEqual(12 * 1.7 + 1e-9)
  })
})

describe('a prefill', () => {
  it('costs an overhead and a part for each token', () => {
    expect(planPrefill(exact, 1_000, 0, 0, random)).toEqual({ busyUntilMs: 250, readyAtMs: 280 })
  })

  it('waits for the one before it, whose overhead it does not wait for', () => {
    expect(planPrefill(exact, 1_000, 100, 250, random)).toEqual({ busyUntilMs: 500, readyAtMs: 530 })
  })
})
