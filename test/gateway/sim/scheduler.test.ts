import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ask, askStream, chunksOf, INSTANT, jsonOf, open, QUICK, readAll, start, textOf, until } from './ask.ts'

const long = { max_tokens: 20_000, ignore_eos: true, stream: true }

/** A busy machine only ever delays: of some tries the quickest is what counts. */
async function quickest(run: () => Promise<number>, enoughMs: number): Promise<number> {
  let bestMs = await run()
  for (let tries = 1; tries < 8 && bestMs > enoughMs; tries++) bestMs = Math.min(bestMs, await run())
  return bestMs
}

describe('continuous batching', () => {
  it('runs as many sequences as it may, and lets the next ones wait their turn', async () => {
    await using engine = await start({ maxNumSeqs: 2 })
    const opens = Array.from({ length: 5 }, () => open(engine, { body: long }))
    await until('all have come', () => engine.stats.running + engine.stats.waiting === 5)
    expect([engine.stats.running, engine.stats.waiting]).toEqual([2, 3])
    opens[0]?.leave()
    await until('one moves up', () => engine.stats.waiting === 2)
    expect(engine.stats.running).toBe(2)
    for (const { leave } of opens) leave()
    await until('all are gone', () => engine.stats.running + engine.stats.waiting === 0)
    expect(engine.stats.usedKvBlocks).toBe(0)
  })

  it('counts every choice as a sequence', async () => {
    await using engine = await start({ maxNumSeqs: 2 })
    const four = open(engine, { body: { ...long, n: 4 } })
    await until('they run', () => engine.stats.running === 2)
    expect(engine.stats.waiting).toBe(2)
    four.leave()
  })

  it('gives all sequences of a batch their token in the same step', async () => {
    await using engine = await start({ pace: { ...QUICK, interTokenMs: 5 } })
    const opens = [1, 2].map((seed) => open(engine, { body: { ...long, seed } }))
    // the first words of each: from then on both are in every step
    await Promise.all(opens.map(async ({ head }) => once(await head, 'data')))
    const from = engine.stats.generatedTokens
    const grown = new Set<number>()
    for (let tokens = 0; tokens < 40; tokens = engine.stats.generatedTokens - from) {
      grown.add(tokens)
      await turn()
    }
    expect(grown.size).toBeGreaterThan(1)
    expect([...grown].filter((tokens) => tokens % 2 !== 0)).toEqual([])
    for (const { leave } of opens) leave()
  })

  it('takes longer for a token the more run, and prefills prompts by their length', async () => {
    await using engine = await start({ maxNumSeqs: 8, pace: { ...QUICK, interTokenMs: 15, loadFactor: 4 } })
    const take = async (count: number) => {
      const from = performance.now()
      await Promise.all(Array.from({ length: count }, () => askStream(engine, { max_tokens: 8, ignore_eos: true })))
      return performance.now() - from
    }
    const alone = await quickest(() => take(1), 150)
    expect(await take(8)).toBeGreaterThan(alone * 1.8)

    await using slow = await start({ pace: { ...QUICK, prefillPerTokenMs: 5 } })
    const prefill = async () => {
      const from = performance.now()
      await ask(slow, { path: '/v1/completions', body: { prompt: Array(80).fill(7), max_tokens: 1 } })
      return performance.now() - from
    }
    expect(await prefill()).toBeGreaterThan(390)
    // the prefix cache knows 64 of the 80 tokens now
    expect(await quickest(prefill, 299)).toBeLessThan(300)
  })
})

describe('KV blocks', () => {
  it('are taken by the block as a sequence grows, and given back', async () => {
    await using engine = await start({ maxModelLen: 2_000, kvBlocks: 125, blockSize: 16 })
    const one = open(engine, { body: { ...long, max_tokens: 1_500 } })
    await until('it has grown', () => engine.stats.usedKvBlocks >= 5)
    expect(Math.abs(engine.stats.usedKvBlocks - (13 + engine.stats.generatedTokens) / 16)).toBeLessThan(2)
    one.leave()
    await until('they are free', () => engine.stats.usedKvBlocks === 0)
  })

  it('that are used up preempt the sequence that came last, which loses no word', async () => {
    await using roomy = await start({ pace: INSTANT })
    await using tight = await start({ pace: INSTANT, maxModelLen: 160, kvBlocks: 12 })
    const body = { max_tokens: 120, ignore_eos: true }
    const ask = (seed: number) => Promise.all([roomy, tight].map((engine) => askStream(engine, { ...body, seed })))
    const answers = await Promise.all([1, 2, 3].map(ask))
    for (const [expected = '', preempted = ''] of answers) expect(textOf(preempted)).toBe(textOf(expected))
    expect(tight.stats.preemptions).toBeGreaterThan(0)
    expect(roomy.stats.preemptions).toBe(0)
  })

  it('that do not suffice for a prompt let it wait though a place is free', async () => {
    await using engine = await start({ maxModelLen: 160, kvBlocks: 10, pace: { ...QUICK, interTokenMs: 5 } })
    const prompt = Array(100).fill(7)
    const asked = { path: '/v1/completions', body: { prompt, max_tokens: 50, ignore_eos: true, stream: true } }
    const opens = [open(engine, asked), open(engine, asked)]
    await until('one waits', () => engine.stats.running === 1 && engine.stats.waiting === 1)
    for (const { leave } of opens) leave()
  })
})

describe('a limit of queued requests', () => {
  it('refuses with 503 what exceeds it, running ones and choices included', async () => {
    await using engine = await start({ maxQueuedRequests: 3, maxNumSeqs: 1 })
    const opens = [open(engine, { body: long }), open(engine, { body: long })]
    await until('they are there', () => engine.stats.running + engine.stats.waiting === 2)
    const response = await ask(engine, { body: { ...long, n: 2 } })
    expect(response.status).toBe(503)
    expect((await jsonOf(response)).error).toMatchObject({ code: 503, type: 'ServiceUnavailableError' })
    for (const { leave } of opens) leave()
  })
})

describe('a reader that does not keep up', () => {
  it('is waited for, and slows nobody else', async () => {
    await using engine = await start({ pace: INSTANT, maxModelLen: 5_000_000, kvBlocks: 400_000 })
    const stalled = open(engine, { body: { ...long, max_tokens: 4_000_000 } })
    const response = await stalled.head
    response.pause()
    let before = -1
    await until('it stands still', () => {
      const isStill = engine.stats.generatedTokens === before
      before = engine.stats.generatedTokens
      return isStill && before > 100
    })
    expect(chunksOf(await askStream(engine, { max_tokens: 300, ignore_eos: true }))).toHaveLength(301)
    expect(engine.stats.running).toBe(1)
    const still = engine.stats.generatedTokens
    response.resume()
    await until('it goes on', () => engine.stats.generatedTokens > still + 1_000)
    stalled.leave()
    await readAll(response)
    await until('it is free', () => engine.stats.running === 0)
  })
})
