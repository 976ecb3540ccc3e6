// How a stream ends badly: whose fault it is, whether another engine may be tried, and what the reader has got by then.
import { describe, expect, it } from 'vitest'
import { DONE_EVENT, ERROR_FRAME, FINISH, ROLE, TEXT } from '../../helpers/fakes.ts'
import { startAttempt as start, summary } from '../../helpers/relay.ts'

/** Streams `events`, closes the connection, and says how that ended. */
function end(...events: readonly string[]): Promise<string> {
  const attempt = start()
  attempt.engine
    .streams()
    .says(...events)
    .handler.onEnd()
  return summary(attempt)
}

describe('a stream that ends badly before its first output', () => {
  it.each([
    ['with the abort of an engine that shuts down', [ROLE(), FINISH('abort'), DONE_EVENT], 'upstream_error, retryable'],
    ['with an abort in one piece', [ROLE() + FINISH('abort') + DONE_EVENT], 'upstream_error, retryable'],
    ['with finish_reason error', [ROLE(), FINISH('error')], 'upstream_error, engine fault, retryable'],
    ['with an event that is no JSON', [ROLE(), 'data: {"cho\n\n'], 'upstream_error, engine fault, retryable'],
    ['with [DONE] and no finish', [ROLE(), DONE_EVENT], 'upstream_error, engine fault, retryable'],
    ['with nothing more', [ROLE()], 'upstream_error, engine fault, retryable'],
    ['with an error frame of a full engine', [ROLE(), ERROR_FRAME(503, 'full')], 'engine_overloaded, retryable'],
    ['with an error frame that blames the request', [ROLE(), ERROR_FRAME(400, 'too long')], 'upstream_error'],
    ['with an error frame of a failure', [ERROR_FRAME(500, 'boom')], 'upstream_error, engine fault']
  ])('%s', async (_how, events, expected) => {
    expect(await end(...events)).toBe(expected)
  })

  it('has sent nothing, so that another engine starts from the beginning', () => {
    const { engine, sink } = start()
    engine.streams().says(ROLE(), ': keep-alive\n\n', FINISH('abort'), DONE_EVENT)
    expect([sink.headSent, sink.writes]).toEqual([false, []])
  })

  it('may come after heartbeats, and the next engine answers on the same head', async () => {
    const { engine, sink, watch, outcome } = start()
    watch.tick(150)
    engine.streams().says(ROLE(), TEXT('a'), FINISH('stop'), DONE_EVENT).handler.onEnd()
    await outcome
    expect(sink.writes[0]).toBe(': heartbeat\n\n')
  })
})

describe('a stream that ends badly after its first output', () => {
  it.each([
    ['with an abort', [FINISH('abort'), DONE_EVENT], 'upstream_error'],
    ['with finish_reason error', [FINISH('error')], 'upstream_error, engine fault'],
    ['with an event that is no JSON', ['data: {"cho\n\n'], 'upstream_error, engine fault'],
    ['with [DONE] and no finish', [DONE_EVENT], 'upstream_error, engine fault'],
    ['with nothing more', [], 'upstream_error, engine fault'],
    ['with half an event', ['data: {"choices":[{"del'], 'upstream_error, engine fault'],
    ['with an error frame of a full engine', [ERROR_FRAME(503, 'full')], 'engine_overloaded'],
    [
      'with an error frame of a failure, then [DONE]',
      [ERROR_FRAME(500, 'boom') + DONE_EVENT],
      'upstream_error, engine fault'
    ]
  ])('%s', async (_how, events, expected) => {
    expect(await end(ROLE(), TEXT('a'), ...events)).toBe(expected)
  })

  it('has sent every whole event before the bad one, and nothing of that', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(ROLE() + TEXT('a') + TEXT('b') + ERROR_FRAME(500, 'secret') + DONE_EVENT)
    await outcome
    expect(sink.text).toBe(ROLE() + TEXT('a') + TEXT('b'))
  })

  it('closes the engine that sent the bad event', async () => {
    const { engine, outcome } = start()
    engine.streams().says(TEXT('a'), ERROR_FRAME(500, 'boom'))
    await outcome
    expect(engine.did).toEqual(['abort'])
  })

  it('leaves the end to the one who knows whether there is another engine', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(TEXT('a'), ERROR_FRAME(500, 'boom'))
    await outcome
    expect([sink.ended, sink.failure]).toEqual([false, undefined])
  })
})

describe('an error frame', () => {
  it('that blames the request keeps its words too: vLLM says so of every exception in a stream', async () => {
    const { engine, outcome } = start()
    engine.streams().says(ERROR_FRAME(400, 'The prompt is too long.'))
    expect(await outcome).toMatchObject({
      engineFault: false,
      error: { status: 502, message: 'The engine failed while it answered.' }
    })
  })

  it('of a failure keeps its words from the client', async () => {
    const { engine, outcome } = start()
    engine.streams().says(ERROR_FRAME(500, 'CUDA error at 10.0.0.7'))
    expect(await outcome).toMatchObject({ error: { message: 'The engine failed while it answered.' } })
  })
})

describe('an answer of several choices', () => {
  const two = () => start({ choices: 2 })

  it('is complete when each has finished', async () => {
    const attempt = two()
    attempt.engine.streams().says(TEXT('a', 0), TEXT('b', 1), FINISH('stop', '', 0), FINISH('stop', '', 1), DONE_EVENT)
    attempt.engine.handler.onEnd()
    expect(await summary(attempt)).toBe('complete')
  })

  it('is not complete when the engine ends in the middle of one', async () => {
    const attempt = two()
    attempt.engine
      .streams()
      .says(TEXT('a', 0), TEXT('b', 1), FINISH('stop', '', 0))
      .handler.onEnd()
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
  })

  it('is not complete with a [DONE] in the middle of one', async () => {
    const attempt = two()
    attempt.engine.streams().says(TEXT('a', 0), TEXT('b', 1), FINISH('stop', '', 0), DONE_EVENT)
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
    expect(attempt.sink.text).not.toContain('[DONE]')
  })

  it('was given up when one was aborted', async () => {
    const attempt = two()
    attempt.engine.streams().says(TEXT('a', 0), TEXT('b', 1), FINISH('stop', '', 0), FINISH('abort', '', 1))
    expect(await summary(attempt)).toBe('upstream_error')
  })
})

describe('an event beyond a mebibyte', () => {
  const huge = `data: ${'x'.repeat(1_100_000)}`

  it('ends the stream, and another engine may be tried', async () => {
    const attempt = start()
    attempt.engine.streams().says(huge)
    expect(await summary(attempt)).toBe('upstream_error, engine fault, retryable')
  })

  it('ends the stream for good after output', async () => {
    const attempt = start()
    attempt.engine.streams().says(TEXT('a'), huge)
    expect(await summary(attempt)).toBe('upstream_error, engine fault')
  })

  it('does not keep back the events that came before it in the same piece', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(TEXT('a') + huge)
    await outcome
    expect(sink.text).toBe(TEXT('a'))
  })
})

describe('the phases that a stream tells its watch', () => {
  it('hold the first token late while only role chunks have come', async () => {
    const attempt = start()
    attempt.engine.streams().says(ROLE())
    attempt.watch.tick(1_001)
    expect(await summary(attempt)).toBe('ttft_timeout, engine fault')
  })

  it('hold a silence after output for idle', async () => {
    const attempt = start()
    attempt.engine.streams().says(TEXT('a'))
    attempt.watch.tick(501)
    expect(await summary(attempt)).toBe('idle_timeout, engine fault')
  })

  it('hold a full sink for a slow reader, who is at fault', async () => {
    const attempt = start()
    attempt.sink.full = true
    attempt.engine.streams().says(TEXT('a'))
    attempt.watch.tick(301)
    expect(await summary(attempt)).toBe('slow_reader')
  })

  it('do not take keep-alive comments of a hung engine for an answer', async () => {
    const attempt = start()
    attempt.engine.streams().says(TEXT('a'))
    for (let at = 100; at <= 600; at += 100) {
      attempt.watch.tick(at)
      attempt.engine.says(': keep-alive\n\n')
    }
    attempt.watch.tick(601)
    expect(attempt.watch.stopped).toMatchObject({ error: { code: 'idle_timeout' } })
  })
})
