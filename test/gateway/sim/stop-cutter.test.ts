import { describe, expect, it } from 'vitest'
import { createStopCutter } from '../../../gateway/sim/stop-cutter.ts'

/** What is shown after each piece, and the stop string that was met. */
function run(pieces: string[], stops: string[], includeStop = false): { shown: string[]; stop: string | undefined } {
  const cutter = createStopCutter(stops, includeStop)
  const shown: string[] = []
  for (const piece of pieces) {
    const { text, stop } = cutter.push(piece, true)
    shown.push(text)
    if (stop !== undefined) return { shown, stop }
  }
  shown.push(cutter.flush())
  return { shown, stop: undefined }
}

describe('the stop cutter', () => {
  it('lets everything through at once when there is no stop string', () => {
    expect(run(['a', ' b'], [])).toEqual({ shown: ['a', ' b', ''], stop: undefined })
  })

  it('finds a stop string that spans pieces, and shows nothing of it', () => {
    expect(run(['one tw', 'o th', 'ree'], ['two three'])).toMatchObject({ stop: 'two three' })
    expect(run(['one tw', 'o th', 'ree'], ['two three']).shown.join('')).toBe('one ')
  })

  it('holds back one character less than the longest stop string, and gives it when the text ends', () => {
    expect(run(['abcdef', 'g'], ['xyz'])).toEqual({ shown: ['abcd', 'e', 'fg'], stop: undefined })
  })

  it('shows the stop string itself when asked to, even one whose start was shown before', () => {
    expect(run(['one tw', 'o three'], ['two'], true)).toEqual({ shown: ['one tw', 'o'], stop: 'two' })
  })

  it('prefers the first in the list that occurs', () => {
    expect(run(['a b c'], ['c', 'b'])).toEqual({ shown: ['a b '], stop: 'c' })
  })

  it('does not search while it must not', () => {
    const cutter = createStopCutter(['b'], false)
    expect(cutter.push('a b', false)).toEqual({ text: 'a b' })
    expect(cutter.push(' b c', true)).toEqual({ text: ' ', stop: 'b' })
  })
})
