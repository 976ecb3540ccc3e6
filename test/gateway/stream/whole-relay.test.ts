// An answer in one piece: held while it is small, passed on as it comes when it is large.
import { describe, expect, it } from 'vitest'
import { startAttempt, summary } from '../../helpers/relay.ts'

const start = () => startAttempt({ stream: false })
const JSON_HEAD = { 'content-type': 'application/json' }
const body = (reason: string, text = 'Hi', more: object = {}) =>
  JSON.stringify({
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: reason }],
    usage: { prompt_tokens: 5, total_tokens: 8, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 1 } },
    ...more
  })

function answer(...pieces: readonly string[]) {
  const attempt = start()
  attempt.engine.handler.onHead(200, { ...JSON_HEAD, 'transfer-encoding': 'chunked' })
  attempt.engine.says(...pieces)
  return attempt
}

describe('a small answer', () => {
  it('reaches the reader whole, with its length', async () => {
    const { engine, sink, outcome } = answer(body('stop').slice(0, 20), body('stop').slice(20))
    engine.handler.onEnd()
    await outcome
    expect([sink.text, sink.headers['content-length'], sink.ended]).toEqual([
      body('stop'),
      String(body('stop').length),
      true
    ])
  })

  it('is told to the meter with its counts', async () => {
    const { engine, meter, outcome } = answer(body('stop'))
    engine.handler.onEnd()
    expect(meter.finish(await outcome)).toMatchObject({ promptTokens: 5, outputTokens: 3 })
  })

  it('is held until it is whole, so that a broken one can be replaced', async () => {
    const attempt = answer(body('stop').slice(0, 20))
    attempt.engine.handler.onError(new Error('reset'))
    expect([await summary(attempt), attempt.sink.headSent]).toEqual(['upstream_error, engine fault, retryable', false])
  })

  it('that was aborted is replaced, and is no fault of the engine', async () => {
    const attempt = answer(body('abort'))
    attempt.engine.handler.onEnd()
    expect([await summary(attempt), attempt.sink.headSent]).toEqual(['upstream_error, retryable', false])
  })

  it.each([
    ['without a length that is cut', {}, 20, 'upstream_error, engine fault, retryable'],
    ['without a length that has not begun', {}, 0, 'upstream_error, engine fault, retryable'],
    ['without a length that is whole', {}, undefined, 'complete'],
    ['of another type, which nobody can judge', { 'content-type': 'text/plain' }, 20, 'complete'],
    ['with a length, which its connection has kept', { 'content-length': '20' }, 20, 'complete'],
    ['in chunks, the last one included', { 'transfer-encoding': 'chunked' }, 20, 'complete']
  ])('%s, %j, to %s bytes is: %s', async (_what, headers, bytes, expected) => {
    const attempt = start()
    attempt.engine.handler.onHead(200, { ...JSON_HEAD, ...headers })
    attempt.engine.says(body('stop').slice(0, bytes))
    attempt.engine.handler.onEnd()
    expect([await summary(attempt), attempt.sink.headSent]).toEqual([expected, expected === 'complete'])
  })

  it('that only speaks of "abort" goes through', async () => {
    const attempt = answer(body('stop', 'finish_reason: "abort"'))
    attempt.engine.handler.onEnd()
    expect(await summary(attempt)).toBe('complete')
  })

  it('of which only one choice was aborted goes through', async () => {
    const choices = [{ finish_reason: 'abort' }, { finish_reason: 'stop' }]
    const attempt = answer(JSON.stringify({ choices }))
    attempt.engine.handler.onEnd()
    expect(await summary(attempt)).toBe('complete')
  })

  it('keeps the content type of the engine', async () => {
    const { engine, sink, outcome } = start()
    engine.handler.onHead(200, { 'content-type': 'application/json; charset=utf-8' })
    engine.says('{}').handler.onEnd()
    await outcome
    expect(sink.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  it('is not changed by the engine when it uses its buffer again', async () => {
    const { engine, sink, outcome } = start()
    const buffer = Buffer.from('{"a":1}')
    engine.handler.onHead(200, JSON_HEAD)
    engine.handler.onData(buffer)
    buffer.fill('x')
    engine.handler.onEnd()
    await outcome
    expect(sink.text).toBe('{"a":1}')
  })
})

describe('a large answer', () => {
  const large = body('stop', 'x'.repeat(200_000))
  const pieces = Array.from({ length: 10 }, (_, at) => large.slice(at * 21_000, (at + 1) * 21_000))

  it('begins to flow before it is whole', () => {
    const { sink } = answer(...pieces.slice(0, 4))
    expect(sink.text).toBe(pieces.slice(0, 4).join(''))
  })

  it('is not begun at 64 KiB exactly', () => {
    expect(answer('x'.repeat(65_536)).sink.headSent).toBe(false)
  })

  it('arrives byte for byte and is complete', async () => {
    const attempt = answer(...pieces)
    attempt.engine.handler.onEnd()
    expect([await summary(attempt), attempt.sink.text === large]).toEqual(['complete', true])
  })

  it.each([
    ['is cut', -3, 'upstream_error, engine fault'],
    ['is whole', undefined, 'complete']
  ])('without a length that %s, at %s, is: %s', async (_what, end, expected) => {
    const attempt = start()
    attempt.engine.handler.onHead(200, JSON_HEAD)
    attempt.engine.says(...pieces.slice(0, -1), (pieces.at(-1) as string).slice(0, end))
    attempt.engine.handler.onEnd()
    expect([await summary(attempt), attempt.sink.headSent]).toEqual([expected, true])
  })

  it('has its counts read from its end', async () => {
    const { engine, meter, outcome } = answer(...pieces)
    engine.handler.onEnd()
    expect(meter.finish(await outcome)).toMatchObject({ promptTokens: 5, outputTokens: 3 })
  })

  it('passes on the length that the engine announced', () => {
    const { engine, sink } = start()
    engine.handler.onHead(200, { ...JSON_HEAD, 'content-length': String(large.length) })
    engine.says(...pieces)
    expect(sink.headers['content-length']).toBe(String(large.length))
  })

  it('that breaks is an error that no other engine can mend', async () => {
    const attempt = answer(...pieces.slice(0, 5))
    attempt.engine.handler.onError(new Error('reset'))
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
  })

  it('pauses the engine for a slow reader, from the first bytes on', () => {
    const { engine, sink } = start()
    sink.full = true
    engine.handler.onHead(200, JSON_HEAD)
    engine.says(...pieces.slice(0, 4))
    expect(engine.paused).toBe(true)
  })

  it('resumes the engine when the reader has drained', () => {
    const { engine, sink } = answer(...pieces.slice(0, 4))
    sink.full = true
    engine.says(pieces[4] ?? '')
    sink.drain()
    expect(engine.did).toEqual(['pause', 'resume'])
  })
})

describe('counts', () => {
  it.each([
    ['none', '{"choices":[]}', undefined],
    ['null', '{"choices":[],"usage":null}', undefined],
    [
      'those that the text speaks of',
      JSON.stringify({ choices: [{ text: '"usage":{"prompt_tokens":9}' }] }),
      undefined
    ],
    ['spaced ones', '{"usage": { "prompt_tokens": 9, "completion_tokens": 1 }}', 9]
  ])('are found where there are %s', async (_what, text, expected) => {
    const { engine, meter, outcome } = answer(text)
    engine.handler.onEnd()
    expect(meter.finish(await outcome).promptTokens).toBe(expected)
  })
})
