// The bound over all request bodies: exact where it refuses, and cheap where it does not.
import { describe, expect, it } from 'vitest'
import { createBodyBudget } from '../../../gateway/admission/bodies.ts'

/** A budget of 100 bytes, and what is held; the bodies that it turns away are let go. */
function start() {
  const state = { held: 0, measured: 0 }
  const admits = createBodyBudget(100, () => {
    state.measured++
    return state.held
  })
  const take = (bytes: number) => {
    state.held += bytes
    const admitted = admits(bytes)
    if (!admitted) state.held -= bytes
    return admitted
  }
  return { state, take }
}

describe('the memory for bodies', () => {
  it('is filled to its last byte, and not beyond', () => {
    const { take } = start()
    expect([60, 40, 1].map(take)).toEqual([true, true, false])
  })

  it('has room again for what was let go, though nobody said so', () => {
    const { state, take } = start()
    take(90)
    expect(take(20)).toBe(false)
    state.held -= 50
    expect([take(20), take(40), take(1)]).toEqual([true, true, false])
  })

  it('always has room for one body alone', () => {
    const { take } = start()
    expect([take(500), take(1)]).toEqual([true, false])
  })

  it('is measured only when the bound is in sight', () => {
    const { state, take } = start()
    for (let i = 0; i < 1_000; i++) {
      expect(take(1)).toBe(true)
      state.held--
    }
    expect(state.measured).toBeLessThan(15)
  })
})
