import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../gateway/sim/engine.ts'
import { open, QUICK, start, until } from './ask.ts'

let engine: SimEngine
beforeAll(async () => {
  engine = await start({ maxNumSeqs: 4, pace: { ...QUICK, interTokenMs: 10 } })
})
afterAll(() => engine.close())

const long = { max_tokens: 20_000, ignore_eos: true }
const isFree = () => until('the engine is free', () => engine.stats.running + engine.stats.waiting === 0)

describe('a client that leaves', () => {
  it('stops its stream, is written down with the time, and costs at most the token of the step under way', async () => {
    const left = open(engine, { body: { ...long, stream: true }, headers: { 'x-request-id': 'leaver' } })
    await once(await left.head, 'data')
    const [aborted, after] = [engine.stats.aborted, engine.stats.tokensAfterAbort]
    const leftAtMs = performance.now()
    left.leave()
    await until('it is noticed', () => engine.stats.aborted === aborted + 1)
    const noticedAtMs = performance.now()
    await isFree()
    const generated = engine.stats.generatedTokens
    const { requestId, atMs, tokensAfter } = engine.stats.aborts.at(-1) ?? { requestId: '', atMs: 0, tokensAfter: 9 }
    expect(requestId).toBe('leaver')
    expect(atMs).toBeGreaterThanOrEqual(leftAtMs)
    expect(atMs).toBeLessThanOrEqual(noticedAtMs)
    expect(tokensAfter).toBeLessThanOrEqual(1)
    expect(engine.stats.tokensAfterAbort - after).toBe(tokensAfter)
    await new Promise((go) => setTimeout(go, 30))
    expect(engine.stats.generatedTokens).toBe(generated)
  })

  it('in the middle of a step is still given that step’s token, which is counted', async () => {
    const after = engine.stats.tokensAfterAbort
    for (let tries = 0; tries < 20 && engine.stats.tokensAfterAbort === after; tries++) {
      const left = open(engine, { body: { ...long, stream: true, n: 2 } })
      await once(await left.head, 'data')
      left.leave()
      await until('it is noticed', () => engine.stats.running === 0)
      expect(engine.stats.aborts.at(-1)?.tokensAfter).toBeLessThanOrEqual(2)
    }
    expect(engine.stats.tokensAfterAbort).toBeGreaterThan(after)
  })

  it('stops an answer in one piece', async () => {
    const aborted = engine.stats.aborted
    const left = open(engine, { body: long })
    await until('it runs', () => engine.stats.running === 1)
    left.leave()
    await until('it is noticed', () => engine.stats.aborted === aborted + 1)
    await isFree()
  })

  it('gives its place in the queue up', async () => {
    const opens = Array.from({ length: 5 }, () => open(engine, { body: long }))
    await until('one waits', () => engine.stats.waiting === 1)
    opens.at(-1)?.leave()
    await until('none waits', () => engine.stats.waiting === 0)
    expect(engine.stats.running).toBe(4)
    for (const { leave } of opens) leave()
    await isFree()
  })

  it('before a slow head is noticed too', async () => {
    const aborted = engine.stats.aborted
    const left = open(engine, { body: long, headers: { 'x-sluice-sim-fault': 'slow-head:5000' } })
    const asked = engine.stats.requests
    await until('it is asked', () => engine.stats.requests > asked)
    left.leave()
    await until('it is noticed', () => engine.stats.aborted === aborted + 1)
  })

  it('after the end is no abort', async () => {
    const aborted = engine.stats.aborted
    const done = open(engine, { body: { max_tokens: 2, ignore_eos: true } })
    const response = await done.head
    response.resume()
    await once(response, 'end')
    done.leave()
    await new Promise((go) => setTimeout(go, 20))
    expect(engine.stats.aborted).toBe(aborted)
  })
})
