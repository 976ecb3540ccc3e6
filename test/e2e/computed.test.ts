// Routes that generate nothing: embeddings, ranks, scores and tokens; and which model answers on which route.
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, jsonOf } from '../helpers/client.ts'
import { KEY, MODEL, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { startScriptedEngine } from '../helpers/scripted-engine.ts'
import { EMBEDDER, LISTENER, RANKER, withTasks } from '../helpers/tasks.ts'

let gateway: TestGateway
let client: OpenAI

beforeAll(async () => {
  gateway = await startGateway(withTasks())
  client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: KEY, maxRetries: 0 })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const lastLog = () => gateway.log.findLast((line) => line.message === 'request')
const post = (path: string, body: Record<string, unknown>) => chat(gateway.address, { path, body })

describe('embeddings', () => {
  it('come to the official SDK, which asks for them in base64', async () => {
    const { data, usage } = await client.embeddings.create({ model: EMBEDDER, input: ['rivers', 'lakes', 'rivers'] })
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(data[0]?.embedding).toEqual(data[2]?.embedding)
    expect(Math.hypot(...(data[1]?.embedding ?? []))).toBeCloseTo(1)
    await until('it is told', () => lastLog()?.path === '/v1/embeddings')
    expect(lastLog()).toMatchObject({ outcome: 'complete', promptTokens: usage.prompt_tokens, outputTokens: 0 })
    expect(lastLog()).not.toHaveProperty('maxTokens')
    const labels = { gen_ai_operation_name: 'embeddings', gen_ai_request_model: EMBEDDER, gen_ai_token_type: 'input' }
    expect(await gateway.metric('gen_ai_client_token_usage_sum', labels)).toBe(usage.prompt_tokens)
  })

  it('go upstream as they were asked for, without a limit or a stream', async () => {
    const response = await post('/v1/embeddings', { model: EMBEDDER, input: 'rivers', dimensions: 8 })
    expect(response.headers.has('x-sluice-max-tokens')).toBe(false)
    expect((await jsonOf(response)).data[0].embedding).toHaveLength(8)
    expect(gateway.engines[0]?.stats.recent.at(-1)?.body).toEqual({ model: EMBEDDER, input: 'rivers', dimensions: 8 })
  })

  it('that are large flow through whole, and are counted all the same', async () => {
    const input = Array.from({ length: 300 }, (_, index) => `text ${index}`)
    const response = await post('/v1/embeddings', { model: EMBEDDER, input, dimensions: 64 })
    const { data, usage } = await jsonOf(response)
    expect(data).toHaveLength(300)
    await until('it is told', () => lastLog()?.promptTokens === usage.prompt_tokens)
  })
})

it.each(['/v1/rerank', '/v2/rerank', '/rerank'])('%s ranks documents, and its tokens are counted', async (path) => {
  const documents = ['a mountain', 'the rivers of France', 'rivers']
  const { results, usage } = await jsonOf(await post(path, { model: RANKER, query: 'rivers of France', documents }))
  expect(results[0]).toMatchObject({ index: 1, document: { text: 'the rivers of France' } })
  await until('it is told', () => lastLog()?.path === path)
  expect(lastLog()).toMatchObject({ outcome: 'complete', promptTokens: usage.prompt_tokens })
})

it.each(['/v1/score', '/score'])('%s scores pairs', async (path) => {
  const body = { model: RANKER, text_1: 'rivers', text_2: ['rivers', 'stones'] }
  const { data } = await jsonOf(await post(path, body))
  expect(data[0].score).toBeGreaterThan(data[1].score)
})

it.each(['', '/v1'])('%s/tokenize and its inverse answer for every model, under both paths', async (prefix) => {
  for (const model of [MODEL, EMBEDDER, LISTENER]) {
    const { tokens, count } = await jsonOf(await post(`${prefix}/tokenize`, { model, prompt: 'The rivers of France.' }))
    expect(tokens).toHaveLength(count)
    const { prompt } = await jsonOf(await post(`${prefix}/detokenize`, { model, tokens }))
    expect(prompt).toBe('The rivers of France.')
  }
})

describe('a model that is not for a route', () => {
  it.each([
    ['/v1/embeddings', MODEL, 'generate'],
    ['/v1/rerank', EMBEDDER, 'embed'],
    ['/v1/chat/completions', EMBEDDER, 'embed'],
    ['/v1/responses', RANKER, 'score'],
    ['/v1/completions', LISTENER, 'transcribe']
  ])('at %s is refused before an engine is asked, and says what it is for', async (path, model, task) => {
    const before = gateway.engines[0]?.stats.requests
    const response = await post(path, { model, input: 'x', messages: [] })
    expect(response.status).toBe(404)
    const { error } = await jsonOf(response)
    expect(error).toMatchObject({ code: 'route_not_supported', param: 'model' })
    expect(error.message).toContain(`it has: ${task}`)
    expect(gateway.engines[0]?.stats.requests).toBe(before)
  })
})

it.each([
  ['FastAPI’s 404', '404 Not Found', '{"detail":"Not Found"}'],
  ['a 501', '501 Not Implemented', '{"error":{"message":"The model does not support Messages API"}}']
])('an engine without the route, which says so by %s, stays good for the others', async (_how, status, body) => {
  await using engine = await startScriptedEngine(({ socket }) => {
    const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    socket.write(head + body)
  })
  await using old = await startGateway({ engines: [], urls: [engine.url] })
  for (let tries = 0; tries < 20; tries++) {
    const asked = { model: MODEL, messages: [], max_tokens: 5 }
    const response = await chat(old.address, { path: '/v1/messages', body: asked })
    expect(response.status).toBe(404)
    expect((await jsonOf(response)).error.type).toBe('not_found_error')
  }
  expect(engine.requests).toHaveLength(20)
})
