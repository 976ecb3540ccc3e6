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
  ['an event with an empty name', 'event:\ndata: {"type":"ping"}\n\n', 'malformed'],
  ['an event without data, which reaches no reader', 'event: content_block_delta\nid: 7\n\n', 'comment'],
  ['an event that only has a number', 'id: 7\n\n', 'comment'],
  ['a longer name', 'event: content_block_delta_more\ndata: {}\n\n', 'empty'],
  ['a name that data only quotes', 'data: {"text":"a"}\ndata: "event: ping"\n\n', 'malformed'],
  ['the last of two names', 'event: ping\nevent: content_block_delta\ndata: {}\n\n', 'output']
])('%s is read', (_what, event, kind) => {
  expect(read(event).kinds).toEqual([kind])
})

/** The same event as the standard lets an engine write it, too. */
const ORDERS: readonly (readonly [string, (event: string) => string])[] = [
  ['a comment first', (event) => `: note\n${event}`],
  ['an id first', (event) => `id: 7\n${event}`],
  ['a retry first', (event) => `retry: 10\nid\n${event}`],
  ['its data first', (event) => event.replace(/(event: .*\n)(data: .*\n)/, '$2$1')],
  ['no space after the colons', (event) => event.replace('event: ', 'event:').replace('data: ', 'data:')],
  [
    'its data first and lines of CRLF',
    (event) => event.replace(/(event: .*\n)(data: .*\n)/, '$2$1').replaceAll('\n', '\r\n')
  ]
]

it.each(ORDERS)('an event with %s means the same', (_how, write) => {
  const { kinds, reader } = read(
    ...[
      named('message_start', { message: {} }),
      named('content_block_delta', { delta: { text: 'event: error' } }),
      named('message_delta', { delta: { stop_reason: 'end_turn' }, usage: USAGE }),
      named('message_stop'),
      named('error', { error: {} })
    ].map(write)
  )
  expect(kinds).toEqual(['empty', 'output', 'finish', 'done', 'error'])
  expect([reader.outputEvents, reader.finishReason, reader.usage?.completionTokens]).toEqual([1, 'end_turn', 4])
})
