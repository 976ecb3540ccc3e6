// The body of a response's request: what is removed from its event, and what is put before its input.
import { describe, expect, it } from 'vitest'
import { readJsonBody } from '../../../../gateway/routes/json-body.ts'
import { composeInput } from '../../../../gateway/routes/websocket/response-input.ts'

const compose = (event: string, past?: string) => {
  const { body, items } = composeInput(
    readJsonBody(Buffer.from(event)),
    past === undefined ? undefined : Buffer.from(past)
  )
  return { body: String(body), items: items === undefined ? undefined : String(items) }
}

describe('a body', () => {
  it('is the event without the fields of the WebSocket, however they are spelt, and to the byte otherwise', () => {
    const event =
      '{"type":"response.create","stream_id":"a","\\u0074ype":"x","seed":12345678901234567890,"generate":true,"previous_response_id":null,"input":"Hi"}'
    expect(compose(event).body).toBe('{"seed":12345678901234567890,"input":"Hi"}')
  })

  it('has what was said before in front of its input, and its input once', () => {
    const event = '{"input":"a","model":"m","input":[ {"n":1.0} ]}'
    expect(compose(event, '{"p":1}').body).toBe('{"input":[{"p":1}, {"n":1.0} ],"model":"m"}')
  })

  it('that has only its input has nothing after it', () => {
    expect(compose('{"type":"response.create","input":[]}', '{"p":1}').body).toBe('{"input":[{"p":1}]}')
  })

  it.each(['7', '{}', 'true'])('is none where %s should go behind what was said before', (input) => {
    expect(() => compose(`{"input":${input}}`, '{"p":1}')).toThrow('input must be a text or a list of items.')
  })

  it('has what was said before, where it has no input of its own', () => {
    expect(compose('{"input":null}', '{"p":1}').body).toBe('{"input":[{"p":1}]}')
    expect(JSON.parse(compose('{"model":"m"}', '{"p":1}').body)).toEqual({ input: [{ p: 1 }], model: 'm' })
  })
})

describe('the items of an input', () => {
  it.each([
    ['"Hi \\"you\\""', '{"type":"message","role":"user","content":"Hi \\"you\\""}'],
    ['[1, 2]', '1, 2'],
    ['[]', ''],
    ['[ \n ]', ''],
    ['7', undefined],
    ['null', undefined],
    ['{}', undefined]
  ])('of %s are %j', (input, items) => {
    expect(compose(`{"input":${input}}`).items).toBe(items)
  })
})
