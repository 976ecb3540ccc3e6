// What the events of an answer mean, in vLLM's framing.
import { describe, expect, it, vi } from 'vitest'
import { ChunksReader } from '../../../gateway/stream/chunks-reader.ts'
import { DONE_EVENT, ERROR_FRAME, FINISH, ROLE, TEXT, USAGE } from '../../helpers/fakes.ts'

/** Reads events one after another with one reader. */
function readAll(events: readonly string[]) {
  const reader = new ChunksReader()
  const kinds = events.map((event) => {
    const bytes = Buffer.from(event)
    return reader.read(bytes, 0, bytes.length)
  })
  return { reader, kinds }
}

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const delta = (fields: object, reason: string | null = null) =>
  data({ choices: [{ index: 0, delta: fields, finish_reason: reason }] })

describe('the kind of an event', () => {
  it.each([
    ['a role chunk', ROLE(), 'empty'],
    ['text', TEXT('Hello'), 'output'],
    ['a space, which is text', TEXT(' '), 'output'],
    ['an empty text', TEXT(''), 'empty'],
    ['reasoning', delta({ reasoning: 'Let me see' }), 'output'],
    ['a tool call', delta({ tool_calls: [{ index: 0, function: { arguments: '{' } }] }), 'output'],
    ['an empty list of tool calls', delta({ tool_calls: [] }), 'empty'],
    ['a refusal', delta({ refusal: 'No.' }), 'output'],
    ['fields that are null', delta({ content: null, reasoning: null }), 'empty'],
    ['text of a completion', data({ choices: [{ index: 0, text: 'Hi', finish_reason: null }] }), 'output'],
    ['no text of a completion', data({ choices: [{ index: 0, text: '', finish_reason: null }] }), 'empty'],
    ['a finish without text', FINISH('stop'), 'finish'],
    ['a finish with text', FINISH('length', 'end'), 'finish'],
    ['the usage chunk', USAGE(3, 4), 'usage'],
    ['a chunk with nothing in it', data({ choices: [] }), 'empty'],
    ['an error object', ERROR_FRAME(500, 'boom'), 'error'],
    ['an error that is a sentence', data({ error: 'boom' }), 'error'],
    ['an error that is null, beside a choice', data({ error: null, choices: [{ delta: { content: 'a' } }] }), 'output'],
    ['[DONE]', DONE_EVENT, 'done'],
    ['[DONE] without the space', 'data:[DONE]\n\n', 'done'],
    ['[DONE] with CRLF', 'data: [DONE]\r\n\r\n', 'done'],
    ['[DONE] with CRLF, and a blank line of LF', 'data: [DONE]\r\n\n', 'done'],
    ['[DONE] with LF, and a blank line of CRLF', 'data: [DONE]\n\r\n', 'done'],
    ['a comment', ': keep-alive\n\n', 'comment'],
    ['fields without data', 'event: ping\nid: 3\n\n', 'comment'],
    ['blank lines only', '\n\n', 'comment'],
    ['half an object', 'data: {"choices":[\n\n', 'malformed'],
    ['no JSON', 'data: hello\n\n', 'malformed'],
    ['a number', 'data: 7\n\n', 'malformed'],
    ['null', 'data: null\n\n', 'malformed'],
    ['an error without a text', 'data: {"error":{"message":{"toString":null}}}\n\n', 'error'],
    ['a reason without a text', 'data: {"choices":[{"finish_reason":{"toString":null}}]}\n\n', 'malformed'],
    ['no data at all after the colon', 'data:\n\n', 'malformed'],
    ['data in two lines', 'data: {"choices":\ndata: [{"delta":{"content":"a"}}]}\n\n', 'output'],
    ['data with CRLF', TEXT('a').replaceAll('\n', '\r\n'), 'output'],
    ['data after a comment in one event', `: hi\n${TEXT('a')}`, 'output'],
    ['an event with a name', `event: message\n${TEXT('a')}`, 'output']
  ])('of %s', (_what, event, kind) => {
    expect(readAll([event]).kinds).toEqual([kind])
  })

  it.each(['choices', 'delta'])('does not throw where %s is no object', (field) => {
    const event =
      field === 'choices' ? data({ choices: 7 }) : data({ choices: [{ delta: 'x', finish_reason: 'stop' }] })
    expect(['empty', 'finish']).toContain(readAll([event]).kinds[0])
  })

  it('does not throw where a choice is null', () => {
    expect(() => readAll([data({ choices: [null] })])).not.toThrow()
  })
})

describe('what a reader keeps', () => {
  it('counts the events with output, a finish with text among them', () => {
    expect(readAll([ROLE(), TEXT('a'), TEXT('b'), FINISH('stop', 'c')]).reader.outputEvents).toBe(3)
  })

  it('has the counts of the usage chunk', () => {
    expect(readAll([TEXT('a'), FINISH('stop'), USAGE(7, 1)]).reader.usage).toEqual({
      promptTokens: 7,
      completionTokens: 1
    })
  })

  it('has the newest counts where every chunk carries some', () => {
    const at = (count: number) =>
      TEXT('a', 0, { usage: { prompt_tokens: 7, total_tokens: 7 + count, completion_tokens: count } })
    expect(readAll([at(1), at(2), at(3)]).reader.usage?.completionTokens).toBe(3)
  })

  it.each([
    ['a text', '{"prompt_tokens":7,"completion_tokens":"1"}'],
    ['a negative number', '{"prompt_tokens":7,"completion_tokens":-1}'],
    ['a fraction', '{"prompt_tokens":7.5,"completion_tokens":1}'],
    ['a number beyond all bounds', '{"prompt_tokens":7,"completion_tokens":1e999}'],
    ['an object', '{"prompt_tokens":7,"completion_tokens":{}}']
  ])('has no counts where one of them is %s', (_what, usage) => {
    expect(readAll([TEXT('a'), `data: {"choices":[],"usage":${usage}}\n\n`]).reader.usage).toBeUndefined()
  })

  it('keeps earlier counts where a later chunk says null', () => {
    expect(readAll([USAGE(7, 1), TEXT('a', 0, { usage: null })]).reader.usage?.completionTokens).toBe(1)
  })

  it.each(['stop', 'length', 'tool_calls', 'abort', 'error'])('has the finish reason %s', (reason) => {
    expect(readAll([TEXT('a'), TEXT('b'), FINISH(reason)]).reader.finishReason).toBe(reason)
  })

  it('has the status of an error frame', () => {
    expect(readAll([TEXT('a'), ERROR_FRAME(400, 'too long')]).reader.errorStatus).toBe(400)
  })

  it.each([200, 0, 700, 'BadRequest', null])('takes an error frame with the code %j for a 500', (code) => {
    expect(readAll([data({ error: { message: 'x', code } })]).reader.errorStatus).toBe(500)
  })

  it('takes an error that is a sentence for a 500', () => {
    expect(readAll([data({ error: 'boom' })]).reader.errorStatus).toBe(500)
  })
})

describe('once answers of an engine have been read', () => {
  const chunk = (fields: object, more: object = {}, last: object = {}) =>
    data({ id: 'chatcmpl-1', model: 'm', choices: [{ index: 0, delta: fields, logprobs: null, ...more }], ...last })
  const role = chunk(
    { role: 'assistant', content: '' },
    { finish_reason: null },
    { prompt_token_ids: null, prompt_text: null }
  )
  const text = chunk({ content: 'Hello' }, { finish_reason: null, token_ids: null })
  const thought = chunk({ reasoning: 'Hm' }, { finish_reason: null, token_ids: null })
  const finish = (reason: string, fields: object = {}, stop: unknown = null) =>
    chunk(fields, { finish_reason: reason, stop_reason: stop, token_ids: null }, { system_fingerprint: 'vllm-1.0' })

  it.each([
    ['a role, a text and a finish', [role, text, finish('stop')], ['empty', 'output', 'finish'], 1],
    [
      'a thought and a finish with a text',
      [role, thought, finish('length', { content: 'x' })],
      ['empty', 'output', 'finish'],
      2
    ],
    ['a finish with no content', [role, text, finish('stop', { content: '' })], ['empty', 'output', 'finish'], 1]
  ])('%s are not parsed', (_what, events, kinds, outputEvents) => {
    readAll([role, text, finish('stop')])
    readAll([role, text, finish('length')])
    const parse = vi.spyOn(JSON, 'parse')
    const { kinds: read, reader } = readAll(events)
    expect([read, reader.outputEvents, parse.mock.calls.length]).toEqual([kinds, outputEvents, 0])
    parse.mockRestore()
  })

  it.each([
    ['an abort', finish('abort'), 'finish', 'abort'],
    ['an error', finish('error'), 'finish', 'error'],
    ['a stop at a text of the client', finish('stop', {}, 'END'), 'finish', 'stop'],
    [
      'a role with a text',
      chunk({ role: 'assistant', content: 'x' }, { finish_reason: null, token_ids: null }),
      'output',
      undefined
    ],
    ['an empty text', chunk({ content: '' }, { finish_reason: null, token_ids: null }), 'empty', undefined],
    [
      'a tool call',
      chunk({ tool_calls: [{ index: 0 }] }, { finish_reason: null, token_ids: null }),
      'output',
      undefined
    ],
    ['no tool call', chunk({ tool_calls: [] }, { finish_reason: null, token_ids: null }), 'empty', undefined],
    ['nothing', chunk({ content: null, reasoning: null }, { finish_reason: null, token_ids: null }), 'empty', undefined]
  ])('%s is still what it is', (_what, event, kind, reason) => {
    for (let round = 0; round < 2; round++) {
      readAll([role, text, finish('stop')])
      const { kinds, reader } = readAll([event])
      expect([kinds[0], reader.finishReason]).toEqual([kind, reason])
    }
  })
  const goesOn = { finish_reason: null, token_ids: null }
  it.each([
    [
      'usage before a finish',
      { usage: { prompt_tokens: 7, completion_tokens: 9 } },
      [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop', stop_reason: null, token_ids: null }],
      'finish',
      9
    ],
    [
      'an error before a text',
      { error: { message: 'x', code: 500 } },
      [{ index: 0, delta: { content: 'x' }, logprobs: null, ...goesOn }],
      'error',
      undefined
    ],
    [
      'an abort before another choice',
      {},
      [
        { index: 0, delta: {}, finish_reason: 'abort' },
        { index: 1, delta: { content: 'x' }, logprobs: null, ...goesOn }
      ],
      'finish',
      undefined
    ]
  ])('%s is seen', (_what, front, choices, kind, tokens) => {
    readAll([role, text, finish('stop')])
    const { kinds, reader } = readAll([data({ id: 'chatcmpl-1', ...front, choices })])
    expect([kinds[0], reader.usage?.completionTokens]).toEqual([kind, tokens])
  })

  it('a first text with a probability that is no JSON is refused', () => {
    readAll([role, text, finish('stop')])
    const odd = text.replace('"logprobs":null', '"logprobs":{"content":[{"logprob":NaN}]}')
    expect(readAll([role, odd]).kinds).toEqual(['empty', 'malformed'])
  })

  it('as many tails as there may be, new ones are still learnt', () => {
    for (let version = 0; version < 40; version++) {
      const last = chunk({}, { finish_reason: 'stop', stop_reason: null }, { system_fingerprint: `vllm-${version}` })
      expect(readAll([role, text, last]).kinds).toEqual(['empty', 'output', 'finish'])
    }
    readAll([role, text, finish('stop')])
    const parse = vi.spyOn(JSON, 'parse')
    readAll([role, text, finish('stop')])
    expect(parse).not.toHaveBeenCalled()
    parse.mockRestore()
  })
})
