// What the events of a streamed message mean.
import { expect, it } from 'vitest'
import { MessagesReader } from '../../../gateway/stream/messages-reader.ts'

const named = (type: string, more: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const USAGE = { input_tokens: 9, output_tokens: 4 }

function read(...events: readonly string[]) {
  const reader = new MessagesReader()
  const kinds = events.map((event) => reader.read(Buffer.from(`x${event}x`), 1, 1 + Buffer.byteLength(event)))
  return { reader, kinds }
}

it.each([
  ['message_start', { message: {} }, 'empty'],
  ['ping', {}, 'empty'],
  ['content_block_start', {}, 'empty'],
  ['content_block_delta', { delta: { type: 'text_delta', text: 'a' } }, 'output'],
  ['content_block_stop', {}, 'empty'],
  ['message_delta', { delta: { stop_reason: 'end_turn' } }, 'finish'],
  ['message_stop', {}, 'done'],
  ['error', { error: { message: 'no' } }, 'error'],
  ['error', {}, 'error'],
  ['something_new', {}, 'empty']
])('%s %j is: %s', (type, more, kind) => {
  expect(read(named(type, more)).kinds).toEqual([kind])
})

it.each([
  ['the reason', { stop_reason: 'tool_use' }, 'tool_use'],
  ['null, as vLLM says of an answer that it gave up,', { stop_reason: null }, 'abort'],
  ['nothing', {}, 'abort']
])('a message_delta with %s', (_what, delta, reason) => {
  const { reader } = read(named('message_delta', { delta, usage: USAGE }))
  expect([reader.finishReason, reader.finished, reader.usage]).toEqual([
    reason,
    true,
    { promptTokens: 9, completionTokens: 4 }
  ])
})

it('deltas are counted where no usage says better', () => {
  const { reader } = read(named('message_start'), named('content_block_delta'), named('content_block_delta'))
  expect([reader.outputEvents, reader.usage, reader.finished]).toEqual([2, undefined, false])
})

it.each([
  ['a comment', ': keep-alive\n\n', 'comment'],
  ['a delta that is cut', 'event: content_block_delta\ndata: {"delta":{"text":"a\n\n', 'malformed'],
  ['a delta with lines of CRLF', 'event: content_block_delta\r\ndata: {"delta":{}}\r\n\r\n', 'output'],
  ['an event without a name, which no SDK reads', 'data: {"type":"ping"}\n\n', 'malformed'],
  ['a longer name', 'event: content_block_delta_more\ndata: {}\n\n', 'empty']
])('%s is read', (_what, event, kind) => {
  expect(read(event).kinds).toEqual([kind])
})
