// The end of JSON that comes in pieces.
import { expect, it } from 'vitest'
import { JsonEnd } from '../../../gateway/stream/json-end.ts'

const TEXTS = [
  '{}',
  '[[1,2],[3]]',
  '{"a":"}","b":["{\\"", "\\\\"],"c":{"d":"猫]"}}',
  '{"choices":[{"message":{"content":"a \\\\\\" }] b"}}]}'
]

it.each(TEXTS)('of %s is reached at its last byte and not before', (text) => {
  const end = new JsonEnd()
  const reached = [...Buffer.from(text)].map((byte) => {
    end.push(Buffer.from([byte]))
    return end.isReached
  })
  expect(reached.indexOf(true)).toBe(reached.length - 1)
  end.push(Buffer.from('\r\n'))
  expect(end.isReached).toBe(true)
})

it.each(['', ' ', '"a"', '{', '[{}', '{"a":"}'])('of %j is not reached', (text) => {
  const end = new JsonEnd()
  end.push(Buffer.from(text))
  expect(end.isReached).toBe(false)
})
