import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../gateway/sim/engine.ts'
import { ask, askStream, jsonOf, MODEL, open, start, until } from './ask.ts'

let engine: SimEngine
beforeAll(async () => {
  engine = await start({ models: [MODEL, 'alias'], apiKey: 'secret', maxNumSeqs: 1 })
})
afterAll(() => engine.close())

const headers = { authorization: 'Bearer secret' }
const get = (path: string, init: RequestInit = {}) => fetch(`${engine.url}${path}`, init)

/** `name{labels}` to value; throws on a line that is no Prometheus text. */
async function scrape(): Promise<Map<string, number>> {
  const lines = (await (await get('/metrics')).text()).trimEnd().split('\n')
  const series = lines.filter((line) => !line.startsWith('# '))
  return new Map(
    series.map((line) => {
      const [, name, value] = /^([a-z]+:[a-z0-9_]+\{(?:[a-z_]+="[^"]*",?)+\}) ([0-9.e+-]+)$/.exec(line) ?? []
      if (name === undefined) throw new Error(`not a sample: ${line}`)
      return [name, Number(value)]
    })
  )
}

const labels = `engine="0",model_name="${MODEL}"`

describe('the metrics', () => {
  it('carry vLLM’s names and labels, and count what happened', async () => {
    await askStream(engine, { max_tokens: 5, ignore_eos: true }, { headers })
    const metrics = await scrape()
    expect(metrics.get(`vllm:num_requests_running{${labels}}`)).toBe(0)
    expect(metrics.get(`vllm:num_requests_waiting{${labels}}`)).toBe(0)
    expect(metrics.get(`vllm:kv_cache_usage_perc{${labels}}`)).toBe(0)
    expect(metrics.get(`vllm:prompt_tokens_total{${labels}}`)).toBe(13)
    expect(metrics.get(`vllm:generation_tokens_total{${labels}}`)).toBe(5)
    expect(metrics.get(`vllm:num_preemptions_total{${labels}}`)).toBe(0)
    expect(metrics.get(`vllm:prefix_cache_queries_total{${labels}}`)).toBe(13)
    expect(metrics.get(`vllm:prefix_cache_hits_total{${labels}}`)).toBe(0)
    for (const reason of ['stop', 'length', 'abort', 'error', 'repetition']) {
      const count = metrics.get(
        `vllm:request_success_total{engine="0",finished_reason="${reason}",model_name="${MODEL}"}`
      )
      expect(count).toBe(reason === 'length' ? 1 : 0)
    }
    expect(metrics.get(`sim:aborted_requests_total{${labels}}`)).toBe(0)
    expect(metrics.get(`sim:tokens_after_abort_total{${labels}}`)).toBe(0)
  })

  it.each([
    ['time_to_first_token_seconds', 1],
    ['inter_token_latency_seconds', 4],
    ['e2e_request_latency_seconds', 1],
    ['request_queue_time_seconds', 1],
    ['request_prompt_tokens', 1],
    ['request_generation_tokens', 1]
  ])('have the histogram %s with a cumulative count', async (name, count) => {
    const metrics = await scrape()
    const buckets = [...metrics].filter(([key]) => key.startsWith(`vllm:${name}_bucket{`)).map(([, value]) => value)
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b))
    expect(buckets.at(-1)).toBe(count)
    expect(metrics.get(`vllm:${name}_count{${labels}}`)).toBe(count)
    expect(metrics.get(`vllm:${name}_sum{${labels}}`)).toBeGreaterThanOrEqual(0)
  })

  it('show who runs and who waits', async () => {
    const opens = [1, 2, 3].map((seed) => open(engine, { body: { seed, ignore_eos: true, stream: true }, headers }))
    await until('they are there', () => engine.stats.waiting === 2)
    const metrics = await scrape()
    expect(metrics.get(`vllm:num_requests_running{${labels}}`)).toBe(1)
    expect(metrics.get(`vllm:num_requests_waiting{${labels}}`)).toBe(2)
    expect(metrics.get(`vllm:kv_cache_usage_perc{${labels}}`)).toBeGreaterThan(0)
    expect(await jsonOf(await get('/load'))).toEqual({ server_load: 3 })
    for (const { leave } of opens) leave()
    await until('they are gone', () => engine.stats.aborted === 3)
    expect((await scrape()).get(`sim:aborted_requests_total{${labels}}`)).toBe(3)
  })
})

describe('the API key', () => {
  it('guards the prefixes that vLLM guards', async () => {
    for (const path of [
      '/v1/models',
      '/v1/chat/completions',
      '/v2/rerank',
      '/inference/v1/generate',
      '/cohere/v2/chat'
    ]) {
      const response = await get(path)
      expect([path, response.status, await response.text()]).toEqual([path, 401, '{"error":"Unauthorized"}'])
    }
    expect((await get('/v1/models', { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
    expect((await get('/v1/models', { headers })).status).toBe(200)
    expect((await ask(engine, { headers, body: { max_tokens: 1 } })).status).toBe(200)
  })

  it('does not guard the rest', async () => {
    for (const path of ['/health', '/ping', '/version', '/load', '/metrics']) expect((await get(path)).status).toBe(200)
  })
})

describe('the other pages', () => {
  it('list every served name with the context’s length', async () => {
    const { object, data } = await jsonOf(await get('/v1/models', { headers }))
    expect(object).toBe('list')
    expect(data).toMatchObject([
      { id: MODEL, object: 'model', owned_by: 'vllm', root: MODEL, max_model_len: 32_768 },
      { id: 'alias', root: MODEL }
    ])
  })

  it('turn unhealthy and healthy again', async () => {
    engine.setHealthy(false)
    expect((await get('/health')).status).toBe(503)
    engine.setHealthy(true)
    expect((await get('/health')).status).toBe(200)
  })

  it('answer what is not there as vLLM does', async () => {
    expect((await get('/nope')).status).toBe(404)
    expect((await get('/v1/chat/completions', { headers })).status).toBe(405)
    expect((await get('/health', { method: 'POST' })).status).toBe(405)
  })
})

describe('what the engine remembers', () => {
  it('is the latest requests as they came', async () => {
    await ask(engine, { headers: { ...headers, 'x-request-id': 'remember' }, body: { max_tokens: 1, custom: true } })
    expect(engine.stats.recent.at(-1)).toMatchObject({
      requestId: 'remember',
      path: '/v1/chat/completions',
      headers: { authorization: 'Bearer secret' },
      body: { model: MODEL, custom: true }
    })
  })
})

describe('keep-alive comments', () => {
  it('come while a stream has nothing to say, between events', async () => {
    await using quiet = await start({ sseKeepAliveMs: 15 })
    const text = await askStream(
      quiet,
      { max_tokens: 4, ignore_eos: true },
      { headers: { 'x-sluice-sim-fault': 'stall:0:600' } }
    )
    expect(text.startsWith(': keep-alive\n\n: keep-alive\n\n')).toBe(true)
    expect(text.replaceAll(': keep-alive\n\n', '')).toMatch(/^(data: .+\n\n)+$/)
  })
})
