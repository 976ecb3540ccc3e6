// The rules of a streamed answer hold for every API: held back until output, ended once, and never half taken for whole.
import { describe, expect, it } from 'vitest'
import type { Api } from '../../../gateway/engine-routes.ts'
import { readEnding } from '../../../gateway/stream/readers.ts'
import { fakeCall } from '../../helpers/fakes.ts'
import { startAttempt, summary } from '../../helpers/relay.ts'

const named = (type: string, more: object = {}) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const USAGE = { input_tokens: 9, output_tokens: 2 }

const APIS = [
  {
    api: 'responses',
    early: [named('response.created'), named('response.in_progress'), named('response.output_item.added')],
    delta: named('response.output_text.delta', { delta: 'a' }),
    ending: [
      named('response.output_text.done'),
      named('response.completed', { response: { status: 'completed', output: [{}], usage: USAGE } })
    ],
    aborted: [named('response.completed', { response: { status: 'cancelled', output: [] } })],
    failed: named('response.failed', { response: {} })
  },
  {
    api: 'messages',
    early: [named('message_start'), named('content_block_start'), named('ping')],
    delta: named('content_block_delta', { delta: { text: 'a' } }),
    ending: [named('message_delta', { delta: { stop_reason: 'end_turn' }, usage: USAGE }), named('message_stop')],
    aborted: [named('message_delta', { delta: { stop_reason: null } }), named('message_stop')],
    failed: named('error', { error: { message: 'no' } })
  }
] as const satisfies { api: Api; [name: string]: unknown }[]

describe.each(APIS)('an answer of $api', ({ api, early, delta, ending, aborted, failed }) => {
  const start = () => {
    const attempt = startAttempt({ api })
    attempt.engine.streams()
    return attempt
  }

  it('passes to the byte, and is complete with its last event', async () => {
    const attempt = start()
    attempt.engine.says(...early, delta, delta, ...ending)
    expect(attempt.sink.text).toBe([...early, delta, delta, ...ending].join(''))
    expect(attempt.sink.ended).toBe(true)
    attempt.engine.handler.onEnd()
    expect(await summary(attempt)).toBe('complete')
    expect(attempt.meter.finish({ kind: 'complete' })).toMatchObject({ promptTokens: 9, outputTokens: 2 })
  })

  it('is cut anywhere, and passes whole events all the same', async () => {
    const whole = [...early, delta, delta, ...ending].join('')
    for (const size of [1, 2, 7, 50]) {
      const attempt = start()
      for (let at = 0; at < whole.length; at += size) {
        attempt.engine.says(whole.slice(at, at + size))
        expect(attempt.sink.text.endsWith('\n\n') || attempt.sink.text === '').toBe(true)
      }
      expect(attempt.sink.text).toBe(whole)
    }
  })

  it('is held back until its first output, so that another engine may be asked', async () => {
    const attempt = start()
    attempt.engine.says(...early)
    expect(attempt.sink.headSent).toBe(false)
    attempt.engine.says(...aborted)
    expect([await summary(attempt), attempt.sink.writes]).toEqual(['upstream_error, retryable', []])
  })

  it.each([
    ['is given up', aborted, 'upstream_error'],
    ['fails', [failed], 'upstream_error, engine fault'],
    ['is cut in an event', ['event: x\ndata: {"a":\n\n'], 'upstream_error, engine fault']
  ])('that %s after its first output is an error, and that event goes no further', async (_how, events, expected) => {
    const attempt = start()
    attempt.engine.says(...early, delta, ...events)
    expect([await summary(attempt), attempt.sink.text]).toEqual([expected, [...early, delta].join('')])
  })

  it('whose connection breaks is an error', async () => {
    const attempt = start()
    attempt.engine.says(...early, delta).handler.onError(new Error('reset'))
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
  })

  it('whose stream ends in its middle is an error', async () => {
    const attempt = start()
    attempt.engine.says(...early, delta).handler.onEnd()
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
  })
})

it('a message that told its reason gets its last event where the engine left it out', async () => {
  const attempt = startAttempt({ api: 'messages' })
  attempt.engine.streams().says(APIS[1].delta, APIS[1].ending[0])
  attempt.engine.handler.onEnd()
  expect(await summary(attempt)).toBe('complete')
  expect(attempt.sink.text).toBe(
    `${APIS[1].delta}${APIS[1].ending[0]}event: message_stop\ndata: {"type":"message_stop"}\n\n`
  )
})

it('a response that repeats a large request is held back, too', async () => {
  const attempt = startAttempt({ api: 'responses' })
  const created = named('response.created', { response: { instructions: 'x'.repeat(200_000) } })
  attempt.engine.streams().says(created, created)
  expect(attempt.sink.headSent).toBe(false)
})

describe('an answer in one piece', () => {
  const response = { status: 'completed', output: [{}], usage: USAGE }
  const message = { type: 'message', stop_reason: 'end_turn' }
  it.each([
    ['responses', response, 'whole'],
    ['responses', { ...response, status: 'incomplete' }, 'whole'],
    ['responses', { ...response, status: 'cancelled' }, 'abort'],
    ['responses', { ...response, status: 'failed' }, 'error'],
    ['responses', { ...response, output: [], usage: { ...USAGE, output_tokens: 0 } }, 'abort'],
    ['responses', { ...response, output: ['it "failed" and was "cancelled"'] }, 'whole'],
    ['messages', message, 'whole'],
    ['messages', { ...message, stop_reason: null }, 'abort'],
    ['messages', { type: 'message' }, 'abort'],
    ['messages', { type: 'message', content: '"stop_reason":"end_turn"' }, 'abort'],
    ['messages', { input_tokens: 5 }, 'whole'],
    ['chunks', { choices: [{ finish_reason: 'stop' }] }, 'whole'],
    ['chunks', { choices: [{ finish_reason: 'abort' }] }, 'abort'],
    ['chunks', { choices: [{ finish_reason: 'abort' }, { finish_reason: 'stop' }] }, 'whole'],
    ['chunks', { data: [{ embedding: [1] }] }, 'whole']
  ] as [Api, object, string][])('of %s that says %j is: %s', (api, answer, ending) => {
    expect(readEnding(fakeCall({ api }), Buffer.from(JSON.stringify(answer)))).toBe(ending)
  })

  it('that is no JSON has no ending to tell', () => {
    expect(readEnding(fakeCall({ api: 'messages' }), Buffer.from('1\n00:00 --> 00:01\nHello'))).toBe('whole')
  })
})
