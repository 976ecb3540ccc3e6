// An engine that answers with another status than 200: what the client is told, and whether another engine is asked.
import { describe, expect, it } from 'vitest'
import type { Headers } from '../../../gateway/call.ts'
import { startAttempt, summary } from '../../helpers/relay.ts'

function refuse(status: number, body = '', headers: Headers = { 'content-type': 'application/json' }) {
  const attempt = startAttempt()
  attempt.engine.handler.onHead(status, headers)
  if (body !== '') attempt.engine.says(body)
  attempt.engine.handler.onEnd()
  return attempt
}

const said = (message: string, param?: string) => JSON.stringify({ error: { message, param, type: 'x', code: 400 } })

describe('a status', () => {
  it.each([
    [400, 'engine_refused'],
    [409, 'engine_refused'],
    [413, 'engine_refused'],
    [415, 'engine_refused'],
    [422, 'engine_refused'],
    [429, 'engine_overloaded, retryable'],
    [503, 'engine_overloaded, retryable'],
    [401, 'upstream_error, engine fault, retryable'],
    [403, 'upstream_error, engine fault, retryable'],
    [404, 'upstream_error, engine fault, retryable'],
    [408, 'upstream_error, engine fault, retryable'],
    [502, 'upstream_error, engine fault, retryable'],
    [504, 'upstream_error, engine fault, retryable'],
    [500, 'upstream_error, engine fault'],
    [302, 'upstream_error, engine fault'],
    [204, 'upstream_error, engine fault']
  ])('of %i is: %s', async (status, expected) => {
    expect(await summary(refuse(status))).toBe(expected)
  })

  it('that blames the request goes to the client as it is', async () => {
    expect(await refuse(422, said('no')).outcome).toMatchObject({ error: { status: 422 } })
  })

  it('writes nothing to the reader', async () => {
    const { sink, outcome } = refuse(400, said('no'))
    await outcome
    expect([sink.headSent, sink.writes]).toEqual([false, []])
  })
})

describe('the words of an engine that blames the request', () => {
  it.each([
    ["OpenAI's error object", said('too long'), 'too long'],
    ["vLLM's older flat object", JSON.stringify({ object: 'error', message: 'too long' }), 'too long'],
    ['a detail', JSON.stringify({ detail: 'too long' }), 'too long'],
    ['a list of details', JSON.stringify({ detail: [{ msg: 'x' }] }), '[{"msg":"x"}]'],
    ['an error that is a sentence', JSON.stringify({ error: 'too long' }), 'too long'],
    ['no JSON', '<html>', 'The engine refused the request.'],
    ['nothing', '', 'The engine refused the request.'],
    ['null', 'null', 'The engine refused the request.']
  ])('are found in %s', async (_shape, body, message) => {
    expect(await refuse(400, body).outcome).toMatchObject({ error: { message } })
  })

  it('name the field', async () => {
    expect(await refuse(400, said('too long', 'messages')).outcome).toMatchObject({ error: { param: 'messages' } })
  })

  it('are cut where they are a book', async () => {
    expect(await refuse(400, said('x'.repeat(9_000))).outcome).toMatchObject({ error: { message: 'x'.repeat(2_000) } })
  })
})

describe('the words of an engine that failed', () => {
  it.each([500, 401, 503])('stay in the log at %i', async (status) => {
    const outcome = await refuse(status, said('token sk-secret at 10.0.0.7')).outcome
    expect(outcome.kind === 'error' ? outcome.error.message : '').not.toContain('secret')
  })
})

describe('a refusal', () => {
  it.each([
    ['7', 7_000],
    ['0', 2_000],
    ['4000', 2_000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 2_000]
  ])('with Retry-After %j asks the client to wait %i ms', async (after, retryAfterMs) => {
    expect(await refuse(503, '', { 'retry-after': after }).outcome).toMatchObject({ error: { retryAfterMs } })
  })

  it('whose body breaks off is judged by its status', async () => {
    const attempt = startAttempt()
    attempt.engine.handler.onHead(503, {})
    attempt.engine.says('{"err').handler.onError(new Error('reset'))
    expect(await summary(attempt)).toBe('engine_overloaded, retryable')
  })

  it('whose body never ends is judged after 64 KiB, and its engine is closed', async () => {
    const attempt = startAttempt()
    attempt.engine.handler.onHead(400, {})
    attempt.engine.says('x'.repeat(70_000))
    expect([await summary(attempt), attempt.engine.did]).toEqual(['engine_refused', ['abort']])
  })
})
