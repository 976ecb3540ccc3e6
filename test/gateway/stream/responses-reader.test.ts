// What the events of a streamed response mean.
import { describe, expect, it } from 'vitest'
import { ResponsesReader } from '../../../gateway/stream/responses-reader.ts'

const named = (type: string, more: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const unnamed = (type: string, more: object = {}) => `data: ${JSON.stringify({ type, ...more })}\n\n`
const USAGE = { input_tokens: 9, output_tokens: 4, total_tokens: 13 }
const OUTPUT = [{ type: 'message' }]
const completed = (more: object = {}) => ({ response: { status: 'completed', output: OUTPUT, usage: USAGE, ...more } })

function read(...events: readonly string[]) {
  const reader = new ResponsesReader()
  // somewhere in the middle of a larger buffer, as in a read of a socket
  const kinds = events.map((event) => reader.read(Buffer.from(`x${event}x`), 1, 1 + Buffer.byteLength(event)))
  return { reader, kinds }
}

const commented = (type: string, more?: object) => `: note\nid: 7\n${named(type, more)}`
const dataFirst = (type: string, more?: object) => `${unnamed(type, more).slice(0, -1)}event: ${type}\n\n`

describe.each([
  ['with its name', named],
  ['with its name behind other lines', commented],
  ['with its name behind its data', dataFirst],
  ['without a name', unnamed]
])('an event %s', (_how, write) => {
  it.each([
    ['response.output_text.delta', {}, 'output'],
    ['response.reasoning_text.delta', {}, 'output'],
    ['response.function_call_arguments.delta', {}, 'output'],
    ['response.created', { response: { status: 'in_progress' } }, 'empty'],
    ['response.output_item.added', {}, 'empty'],
    ['response.output_text.done', { text: 'a' }, 'empty'],
    ['response.something_new', {}, 'empty'],
    ['response.completed', completed(), 'done'],
    ['response.incomplete', completed({ status: 'incomplete' }), 'done'],
    ['response.completed', completed({ status: 'incomplete' }), 'done'],
    ['response.completed', completed({ status: 'cancelled' }), 'finish'],
    ['response.completed', completed({ status: 'failed' }), 'error'],
    ['response.failed', { response: { error: { message: 'no' } } }, 'error'],
    ['error', { message: 'no' }, 'error']
  ])('%s %j is: %s', (type, more, kind) => {
    expect(read(write(type, more)).kinds).toEqual([kind])
  })
})

it.each([
  ['completed', completed(), 'completed'],
  ['incomplete', completed({ status: 'incomplete' }), 'incomplete'],
  ['given up', completed({ status: 'cancelled' }), 'abort'],
  ['complete without a token', completed({ output: [], usage: { ...USAGE, output_tokens: 0 } }), 'abort'],
  ['complete without output but with tokens', completed({ output: [] }), 'completed']
])('a response that is %s says so', (_how, more, reason) => {
  expect(read(named('response.completed', more)).reader.finishReason).toBe(reason)
})

it('counts come from the last event, and deltas are counted until then', () => {
  const { reader } = read(named('response.output_text.delta'), named('response.output_text.delta'))
  expect([reader.usage, reader.outputEvents]).toEqual([undefined, 2])
  const last = named('response.completed', completed())
  reader.read(Buffer.from(last), 0, Buffer.byteLength(last))
  expect(reader.usage).toEqual({ promptTokens: 9, completionTokens: 4 })
})

it('events are numbered as the engine numbers them: comments and errors have none', () => {
  const { reader, kinds } = read(
    named('response.created'),
    ': keep-alive\n\n',
    named('response.output_text.delta'),
    named('response.failed')
  )
  expect(kinds).toEqual(['empty', 'comment', 'output', 'error'])
  expect(reader.events).toBe(2)
})

it.each([
  ['is given up', named('response.completed', completed({ status: 'cancelled' }))],
  ['is cut', 'data: {"type":"respon\n\n'],
  ['is that of another API', 'data: [DONE]\n\n']
])('a last event that %s goes no further, and its number is for the error in its place', (_how, last) => {
  expect(read(named('response.created'), named('response.output_text.delta'), last).reader.events).toBe(2)
})

it.each([
  ['a delta that is cut', 'event: response.output_text.delta\ndata: {"delta":" a\n\n', 'malformed'],
  ['a last event that is cut', 'event: response.completed\ndata: {"type":"response.completed","resp\n\n', 'malformed'],
  ['a delta with lines of CRLF', 'event: response.output_text.delta\r\ndata: {"delta":"a"}\r\n\r\n', 'output'],
  ['a last event with lines of CRLF', 'event: response.incomplete\r\ndata: {"response":{}}\r\n\r\n', 'done'],
  ['vLLM’s error frame', 'data: {"error":{"message":"no","code":500}}\n\n', 'error'],
  ['[DONE], which this API has not', 'data: [DONE]\n\n', 'malformed'],
  ['a null', 'data: null\n\n', 'malformed'],
  ['a name that only begins like a delta’s', 'event: response.delta.done\ndata: {}\n\n', 'empty']
])('%s is read', (_what, event, kind) => {
  expect(read(event).kinds).toEqual([kind])
})
