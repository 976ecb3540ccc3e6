import { expect, it } from 'vitest'
import { createHttpDate } from '../../../gateway/front/http-date.ts'

it('is the date of each second as HTTP writes it', () => {
  let nowMs = 5_000
  const date = createHttpDate(
    () => 784_111_772_400 + nowMs,
    () => nowMs
  )
  const dates = [0, 0, 599, 1, 999, 1, 60_000].map((later) => {
    nowMs += later
    return date()
  })
  expect(dates.map((text) => /^Sun, 06 Nov 1994 08:(.*) GMT$/.exec(text)?.[1])).toEqual([
    '49:37',
    '49:37',
    '49:37',
    '49:38',
    '49:38',
    '49:39',
    '50:39'
  ])
})
