import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { ask, askStream, chunksOf, eventsOf, isRefused, jsonOf, open, QUICK, readAll, start, until } from './ask.ts'

const SLOW = { ...QUICK, interTokenMs: 10 }
const stream = { ignore_eos: true, stream: true }

describe('a shutdown', () => {
  it('aborts everything at once unless told to wait, streams and whole answers, and then takes nothing more', async () => {
    await using engine = await start({ pace: SLOW, maxNumSeqs: 2 })
    const running = await open(engine, { body: stream }).head
    await once(running, 'data')
    const whole = ask(engine, { body: { ignore_eos: true } })
    const waiting = await open(engine, { body: stream }).head
    await until('one waits', () => engine.stats.waiting === 1)
    const closed = engine.shutdown()
    for (const response of [running, waiting]) {
      const { text, isClean } = await readAll(response)
      expect(isClean).toBe(true)
      expect(chunksOf(text).at(-1).choices[0].finish_reason).toBe('abort')
      expect(eventsOf(text).at(-1)).toBe('[DONE]')
    }
    expect((await jsonOf(await whole)).choices[0].finish_reason).toBe('abort')
    await closed
    expect(await isRefused(engine)).toBe(true)
    expect(engine.stats).toMatchObject({ running: 0, waiting: 0, aborted: 0 })
  })

  it('lets running requests finish within the time it was given, and answers new ones with an abort', async () => {
    await using engine = await start({ pace: SLOW, shutdownTimeoutMs: 60_000 })
    // two seconds and more, in which the engine is asked twice
    const running = await open(engine, { body: { ...stream, max_tokens: 200 } }).head
    const closed = engine.shutdown()
    const late = await askStream(engine, { ignore_eos: true })
    expect(chunksOf(late).map(({ choices }) => choices[0].finish_reason)).toEqual([null, 'abort'])
    expect((await fetch(`${engine.url}/health`)).status).toBe(200)
    const { text } = await readAll(running)
    expect(chunksOf(text).at(-1).choices[0].finish_reason).toBe('length')
    await closed
    expect(await isRefused(engine)).toBe(true)
  })

  it('aborts what outlives that time', async () => {
    await using engine = await start({ pace: SLOW, shutdownTimeoutMs: 60 })
    const running = await open(engine, { body: stream }).head
    const from = performance.now()
    const closed = engine.shutdown()
    const { text } = await readAll(running)
    expect(performance.now() - from).toBeGreaterThan(55)
    expect(chunksOf(text).at(-1).choices[0].finish_reason).toBe('abort')
    await closed
  })

  it('of an idle engine is immediate', async () => {
    await using engine = await start({ shutdownTimeoutMs: 60_000 })
    await engine.shutdown()
    expect(await isRefused(engine)).toBe(true)
  })
})

describe('closing', () => {
  it('cuts every connection, may be repeated, and counts no client as gone', async () => {
    const engine = await start({ pace: SLOW })
    const running = await open(engine, { body: stream }).head
    await once(running, 'data')
    await Promise.all([engine.close(), engine.close()])
    expect((await readAll(running)).isClean).toBe(false)
    expect(engine.stats).toMatchObject({ running: 0, openSockets: 0, aborted: 0 })
  })
})
