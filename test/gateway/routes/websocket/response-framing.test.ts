// The messages of one response, and what is learnt from them.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../gateway/errors.ts'
import { ResponseFraming } from '../../../../gateway/routes/websocket/response-framing.ts'

const FACTS = { id: 'resp_ours', model: 'm', createdSeconds: 1 }
const create = (lane?: string) => new ResponseFraming(lane, FACTS)

function pass(framing: ResponseFraming, event: Record<string, unknown> | string): string | undefined {
  const data = typeof event === 'string' ? event : JSON.stringify(event)
  const run = Buffer.from(`event: x\ndata: ${data}\n\n`)
  return framing.event(run, 0, run.length)?.toString()
}

describe('an event', () => {
  it('passes to the byte, with its lane in front where it has one', () => {
    expect(pass(create(), '{"type":"a", "n":1.0}')).toBe('{"type":"a", "n":1.0}')
    expect(pass(create('main'), '{"type":"a", "n":1.0}')).toBe('{"stream_id":"main","type":"a", "n":1.0}')
  })

  it('is a message of JSON where spaces stand before its data', () => {
    expect(JSON.parse(pass(create('main'), '  {"type":"a"}') ?? '')).toEqual({ stream_id: 'main', type: 'a' })
  })

  it('is not changed by what is done with the bytes that it came in', () => {
    const run = Buffer.from('data: {"type":"a"}\n\n')
    const message = create().event(run, 0, run.length)
    run.fill(0)
    expect(String(message)).toBe('{"type":"a"}')
  })
})

describe('what a response said', () => {
  it('is the output of its last event, and its id that of the first', () => {
    const framing = create()
    pass(framing, { type: 'response.created', response: { id: 'resp_engine' } })
    expect([framing.facts.id, framing.said]).toEqual(['resp_engine', undefined])
    pass(framing, { type: 'response.completed', response: { id: 'resp_engine', output: [{ a: 1 }, { b: 2 }] } })
    expect(framing.said?.id).toBe('resp_engine')
    expect(String(framing.said?.output)).toBe('{"a":1},{"b":2}')
    expect(framing.events).toBe(2)
  })

  it('has the id of the gateway where the first event has none', () => {
    const framing = create()
    pass(framing, { type: 'response.created', response: null })
    expect(framing.facts.id).toBe('resp_ours')
  })

  it.each([
    ['a tool of that name', { type: 'response.output_item.done', item: { name: 'response.completed' } }],
    ['a text that has it', { type: 'response.output_text.delta', delta: 'response.completed' }],
    ['its request', { type: 'response.in_progress', response: { id: 'r', output: [], tools: ['response.completed'] } }],
    ['no output', { type: 'response.completed', response: { id: 'r' } }],
    ['no response', { type: 'response.completed' }],
    ['a response that is null', { type: 'response.completed', response: null }],
    ['no JSON', '{"type":"response.completed"'],
    ['nothing', 'null']
  ])('is not told by %s', (_what, event) => {
    const framing = create()
    pass(framing, { type: 'response.created', response: { id: 'r' } })
    pass(framing, event)
    expect(framing.said).toBeUndefined()
  })
})

it('a failure has the number of the next event, and is remembered', () => {
  const framing = create('main')
  pass(framing, { type: 'response.created', response: { id: 'r' } })
  expect(JSON.parse(String(framing.failed(new GatewayError('idle_timeout'))))).toEqual({
    stream_id: 'main',
    type: 'error',
    status: 504,
    error: expect.objectContaining({ code: 'idle_timeout' }),
    sequence_number: 1
  })
  expect(framing.hasFailed).toBe(true)
})
