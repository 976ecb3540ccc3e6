import { expect, it } from 'vitest'
import { createHttpDate } from '../../../gateway/front/http-date.ts'

it('is the date of each second as HTTP writes it', () => {
  let nowMs = 784_111_777_999
  const date = createHttpDate(() => nowMs)
  const within = [date(), date()]
  nowMs += 1
  expect([...within, date()]).toEqual([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:38 GMT'
  ])
})
