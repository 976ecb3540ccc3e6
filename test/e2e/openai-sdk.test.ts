import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KEY, MODEL, ROOMY, startGateway, type TestGateway, until } from '../helpers/gateway.ts'

let gateway: TestGateway
let client: OpenAI
const messages = [{ role: 'user' as const, content: 'Tell me of rivers.' }]

beforeAll(async () => {
  gateway = await startGateway({ engines: [ROOMY] })
  client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: KEY, maxRetries: 0 })
})
afterAll(() => gateway[Symbol.asyncDispose]())

describe('the official JavaScript SDK', () => {
  it('streams', async () => {
    const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true, max_tokens: 200 })
    let text = ''
    let finish: string | null | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
    }
    expect(text.split(' ').length).toBeGreaterThan(5)
    expect(finish).toMatch(/^(stop|length)$/)
  })

  it('gets the usage that it asks for', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
      max_tokens: 20,
      stream_options: { include_usage: true }
    })
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) usage = chunk.usage ?? usage
    expect(usage?.completion_tokens).toBeGreaterThan(0)
  })

  it('gets an answer in one piece, and the list of models', async () => {
    const answer = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 20 })
    expect(answer.choices[0]?.message.content).toMatch(/\w/)
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([MODEL])
    expect((await client.models.retrieve(MODEL)).id).toBe(MODEL)
  })

  it('stops the engine when its controller aborts', async () => {
    const aborted = gateway.engines[0]?.stats.aborted ?? 0
    const controller = new AbortController()
    const body = { model: MODEL, messages, stream: true as const, max_tokens: 50_000, ignore_eos: true }
    const stream = await client.chat.completions.create(body, { signal: controller.signal })
    let chunks = 0
    for await (const _ of stream) if (++chunks === 5) controller.abort()
    expect(chunks).toBeLessThan(50_000)
    await until('the engine stops', () => gateway.engines[0]?.stats.aborted === aborted + 1)
  })

  it('raises what it raises for OpenAI’s own errors', async () => {
    const wrongKey = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: 'sk-nobody', maxRetries: 0 })
    await expect(wrongKey.models.list()).rejects.toThrow(OpenAI.AuthenticationError)
    await expect(client.chat.completions.create({ model: 'no-such-model', messages })).rejects.toThrow(
      OpenAI.NotFoundError
    )
    await expect(client.chat.completions.create({ model: MODEL, messages, max_tokens: -1 })).rejects.toMatchObject({
      status: 400,
      param: 'max_tokens'
    })
  })

  it('raises an exception when the engine dies in the middle of a stream', async () => {
    gateway.engines[0]?.setFaults([{ kind: 'reset', afterTokens: 4 }])
    const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true, max_tokens: 50 })
    const read = async () => {
      for await (const _ of stream);
    }
    await expect(read()).rejects.toThrow(OpenAI.APIError)
    gateway.engines[0]?.setFaults([])
  })
})
