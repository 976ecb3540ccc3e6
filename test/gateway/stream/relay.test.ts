// One attempt at one engine: what the reader gets, how it ends, and that the engine is paused, resumed and closed in time.
import { describe, expect, it } from 'vitest'
import type { Call } from '../../../gateway/call.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { DONE_EVENT, FINISH, ROLE, TEXT } from '../../helpers/fakes.ts'
import { startAttempt as start, summary } from '../../helpers/relay.ts'

describe('a stream', () => {
  it('reaches the reader byte for byte and is complete', async () => {
    const { engine, sink, outcome } = start()
    const events = [ROLE(), TEXT('Hel'), TEXT('lo'), FINISH('stop'), DONE_EVENT]
    engine
      .streams()
      .says(...events)
      .handler.onEnd()
    expect([sink.text, await outcome]).toEqual([events.join(''), { kind: 'complete' }])
  })

  it('has the head of an event stream', () => {
    const { engine, sink } = start()
    engine.streams().says(TEXT('a'))
    expect([sink.status, sink.headers['content-type']]).toEqual([200, 'text/event-stream'])
  })

  it('leaves in one write for each piece that the engine sends, cut at the last whole event', () => {
    const { engine, sink } = start()
    const bytes = TEXT('a') + TEXT('b') + TEXT('c')
    engine.streams().says(bytes.slice(0, -5), bytes.slice(-5))
    expect(sink.writes).toEqual([TEXT('a') + TEXT('b'), TEXT('c')])
  })

  it('is the same however the network cuts it', async () => {
    const bytes = Buffer.from([ROLE(), TEXT('猫'), TEXT('b'), FINISH('stop'), DONE_EVENT].join(''))
    for (let size = 1; size < 40; size++) {
      const { engine, sink, outcome } = start()
      engine.streams()
      for (let at = 0; at < bytes.length; at += size) engine.says(bytes.subarray(at, at + size))
      engine.handler.onEnd()
      expect([sink.text, (await outcome).kind], `pieces of ${size}`).toEqual([bytes.toString(), 'complete'])
    }
  })

  it('may begin with a byte order mark, which goes no further', async () => {
    const bytes = Buffer.from(['\ufeff', ROLE(), TEXT('\ufeff'), FINISH('stop'), DONE_EVENT].join(''))
    for (const size of [1, 2, 7, bytes.length]) {
      const { engine, sink } = start()
      engine.streams()
      for (let at = 0; at < bytes.length; at += size) engine.says(bytes.subarray(at, at + size))
      expect(sink.text, `pieces of ${size}`).toBe(bytes.toString('utf8', 3))
    }
  })

  it('sends nothing before its first output', () => {
    const { engine, sink } = start()
    engine.streams().says(ROLE(), ': keep-alive\n\n')
    expect([sink.headSent, sink.writes]).toEqual([false, []])
  })

  it('sends the role chunks that it held before the first output', () => {
    const { engine, sink } = start({ choices: 2 })
    engine.streams().says(ROLE(0) + ROLE(1), TEXT('a', 1))
    expect(sink.text).toBe(ROLE(0) + ROLE(1) + TEXT('a', 1))
  })

  it('holds no more role chunks than there are choices', () => {
    const { engine, sink } = start({ choices: 1 })
    engine.streams().says(ROLE(0), ROLE(0))
    expect(sink.text).toBe(ROLE(0) + ROLE(0))
  })

  it('may finish without any text', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(ROLE(), FINISH('stop'), DONE_EVENT).handler.onEnd()
    expect([sink.text, await outcome]).toEqual([ROLE() + FINISH('stop') + DONE_EVENT, { kind: 'complete' }])
  })

  it('ends for the reader with [DONE], before the engine closes its connection', () => {
    const { engine, sink } = start()
    engine.streams().says(TEXT('a'), FINISH('stop'), DONE_EVENT)
    expect(sink.ended).toBe(true)
  })

  it('gets the [DONE] that the engine forgot', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(TEXT('a'), FINISH('stop')).handler.onEnd()
    expect([sink.text.endsWith(DONE_EVENT), await outcome]).toEqual([true, { kind: 'complete' }])
  })

  it('is complete where the connection breaks after [DONE]', async () => {
    const { engine, outcome } = start()
    engine.streams().says(TEXT('a'), FINISH('stop'), DONE_EVENT).handler.onError(new Error('reset'))
    expect(await outcome).toEqual({ kind: 'complete' })
  })

  it('passes on nothing that comes after [DONE]', () => {
    const { engine, sink } = start()
    engine.streams().says(TEXT('a'), FINISH('stop'), DONE_EVENT + TEXT('late'), TEXT('later'))
    expect(sink.text).not.toContain('late')
  })
})

describe('a reader that leaves', () => {
  const stages: readonly (readonly [string, (a: ReturnType<typeof start>) => void])[] = [
    ['before the head', () => {}],
    ['after the head', ({ engine }) => engine.streams()],
    ['after the role chunk', ({ engine }) => engine.streams().says(ROLE())],
    ['in the middle of the answer', ({ engine }) => engine.streams().says(TEXT('a'))],
    [
      'while the engine is paused',
      ({ engine, sink }) => {
        sink.full = true
        engine.streams().says(TEXT('a'))
      }
    ]
  ]

  it.each(stages)('%s is gone, and no fault of the engine', async (_when, reach) => {
    const attempt = start()
    reach(attempt)
    attempt.sink.leave()
    expect(await attempt.outcome).toEqual({ kind: 'client_gone' })
  })

  it.each(stages)('%s closes the engine at once', (_when, reach) => {
    const attempt = start()
    reach(attempt)
    attempt.sink.leave()
    expect(attempt.engine.did.filter((deed) => deed === 'abort')).toEqual(['abort'])
  })

  it('closes an engine whose connection was still being made', () => {
    const { engine, sink } = start({}, { connect: false })
    sink.leave()
    engine.handler.onStart(engine)
    expect(engine.did).toEqual(['abort'])
  })

  it('before the attempt starts leaves the engine unasked', async () => {
    const { engine, outcome } = start({}, { goneBefore: true })
    expect([engine.opened, await outcome]).toEqual([0, { kind: 'client_gone' }])
  })

  it('gets nothing more', () => {
    const { engine, sink } = start()
    engine.streams().says(TEXT('a'))
    sink.leave()
    engine.says(TEXT('b'), FINISH('stop'), DONE_EVENT).handler.onEnd()
    expect([sink.text, sink.ended]).toEqual([TEXT('a'), false])
  })
})

describe('a slow reader', () => {
  it('pauses the engine, and resumes it when it has drained', () => {
    const { engine, sink } = start()
    sink.full = true
    engine.streams().says(TEXT('a'))
    const paused = engine.paused
    sink.drain()
    expect([paused, engine.paused]).toEqual([true, false])
  })

  it('that becomes full with the last piece of an answer gets a complete answer', async () => {
    const { engine, sink, outcome } = start()
    engine.streams().says(TEXT('a'))
    sink.full = true
    engine.says(FINISH('stop') + DONE_EVENT)
    sink.drain()
    // an engine that stays paused can't end, so the answer would end as a stalled one
    if (!engine.paused) engine.handler.onEnd()
    expect(await Promise.race([outcome, 'paused for ever'])).toEqual({ kind: 'complete' })
  })

  it('that drains after the end resumes nothing', async () => {
    const { engine, sink, outcome } = start()
    sink.full = true
    engine.streams().says(TEXT('a')).handler.onError(new Error('reset'))
    await outcome
    sink.drain()
    expect(engine.did).toEqual(['pause'])
  })
})

describe('a watch that stops an attempt', () => {
  const stopped = {
    kind: 'error',
    error: new GatewayError('idle_timeout'),
    engineFault: true,
    retryable: false
  } as const

  it('decides the outcome, and the engine is closed', async () => {
    const { engine, watch, outcome } = start()
    engine.streams().says(TEXT('a'))
    watch.stop(stopped)
    expect([await outcome, engine.did]).toEqual([stopped, ['abort']])
  })

  it('after [DONE] does not turn a complete answer into a failure', async () => {
    const { engine, watch, outcome } = start()
    engine.streams().says(TEXT('a'), FINISH('stop'), DONE_EVENT)
    watch.stop(stopped)
    expect((await outcome).kind).toBe('complete')
  })

  it('after the outcome changes nothing', async () => {
    const { engine, watch, outcome } = start()
    engine.streams().says(TEXT('a'), FINISH('stop'), DONE_EVENT).handler.onEnd()
    watch.stop(stopped)
    expect((await outcome).kind).toBe('complete')
  })
})

describe('an engine without an answer', () => {
  const faults: readonly (readonly [string, Partial<Call>, (a: ReturnType<typeof start>) => void])[] = [
    ['refuses the connection', {}, ({ engine }) => engine.handler.onError(new Error('refused'))],
    ['breaks the connection after its head', {}, ({ engine }) => engine.streams().handler.onError(new Error('reset'))],
    ['ends before any event', {}, ({ engine }) => engine.streams().handler.onEnd()],
    ['streams JSON', {}, ({ engine }) => engine.handler.onHead(200, { 'content-type': 'application/json' })],
    ['streams what was not to be streamed', { stream: false }, ({ engine }) => void engine.streams()]
  ]

  it.each(faults)('that %s is at fault, and another one may be tried', async (_how, call, fail) => {
    const attempt = start(call)
    fail(attempt)
    expect(await summary(attempt)).toBe('upstream_error, engine fault, retryable')
  })
})
