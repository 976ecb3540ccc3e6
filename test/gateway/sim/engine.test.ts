import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../gateway/sim/engine.ts'
import { ask, askJson, askStream, chunksOf, eventsOf, INSTANT, MODEL, open, start, textOf } from './ask.ts'

let engine: SimEngine
beforeAll(async () => {
  engine = await start({ pace: INSTANT })
})
afterAll(() => engine.close())

const COMPLETION = { path: '/v1/completions' }
const four = { max_tokens: 4, ignore_eos: true }

describe('a streamed chat', () => {
  it('is vLLM’s, byte for byte', async () => {
    await using fixed = await start({ models: ['m'] })
    const body = { model: 'm', stream: true, max_tokens: 2, ignore_eos: true, stream_options: { include_usage: true } }
    const response = await ask(fixed, { body, headers: { 'x-request-id': 'r1' } })
    const text = await response.text()
    const [, created] = /"created":(\d+)/.exec(text) ?? []
    const [, fingerprint] = /"system_fingerprint":"(vllm-0\.31\.0-[0-9a-f]{8})"/.exec(text) ?? []
    const words = chunksOf(text).map(({ choices }) => choices[0]?.delta.content)
    const head = `{"id":"chatcmpl-r1","object":"chat.completion.chunk","created":${created},"model":"m"`
    expect(text).toBe(
      `data: ${head},"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}\n\n` +
        `data: ${head},"choices":[{"index":0,"delta":{"content":"${words[1]}"},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n` +
        `data: ${head},"choices":[{"index":0,"delta":{"content":"${words[2]}"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}]}\n\n` +
        `data: ${head},"choices":[],"usage":{"prompt_tokens":13,"total_tokens":15,"completion_tokens":2},"system_fingerprint":"${fingerprint}"}\n\n` +
        'data: [DONE]\n\n'
    )
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('content-length')).toBeNull()
    expect(Math.abs(Number(created) - Date.now() / 1000)).toBeLessThan(60)
  })

  it('has its head at once, and nothing of its body before the prefill is done', async () => {
    await using never = await start({ pace: { ...INSTANT, prefillOverheadMs: 600_000 } })
    const waiting = open(never, { body: { ...four, stream: true } })
    expect((await waiting.head).statusCode).toBe(200)
    waiting.leave()
    await using slow = await start({ pace: { ...INSTANT, prefillOverheadMs: 400 } })
    const from = performance.now()
    await once(await open(slow, { body: { ...four, stream: true } }).head, 'data')
    expect(performance.now() - from).toBeGreaterThan(395)
  })

  it('has no usage chunk unless asked; then its last chunk has the fingerprint', async () => {
    const chunks = chunksOf(await askStream(engine, four))
    expect(chunks.filter(({ usage }) => usage !== undefined)).toEqual([])
    expect(chunks.filter(({ system_fingerprint }) => system_fingerprint)).toEqual([chunks.at(-1)])
  })

  it('counts on every chunk when continuous usage is asked for', async () => {
    const options = { include_usage: true, continuous_usage_stats: true }
    const chunks = chunksOf(await askStream(engine, { ...four, stream_options: options }))
    expect(chunks.map(({ usage }) => usage.completion_tokens)).toEqual([0, 1, 2, 3, 4, 4])
    expect(new Set(chunks.map(({ usage }) => usage.total_tokens - usage.completion_tokens))).toEqual(new Set([13]))
  })

  it('with n choices has the role once for each, before any word, and counts them together', async () => {
    const text = await askStream(engine, { ...four, max_tokens: 12, n: 3, stream_options: { include_usage: true } })
    const choices = chunksOf(text).flatMap((chunk) => chunk.choices)
    expect(choices.slice(0, 3).map(({ index, delta }) => [index, delta.role])).toEqual([
      [0, 'assistant'],
      [1, 'assistant'],
      [2, 'assistant']
    ])
    expect(choices.slice(3).some(({ delta }) => delta.role !== undefined)).toBe(false)
    expect(choices.filter(({ finish_reason }) => finish_reason === 'length')).toHaveLength(3)
    expect(chunksOf(text).at(-1).usage.completion_tokens).toBe(36)
    expect(new Set([0, 1, 2].map((index) => textOf(text, index))).size).toBe(3)
    expect(eventsOf(text).filter((data) => data === '[DONE]')).toHaveLength(1)
  })

  it('ends by itself with the reason stop, after an empty delta', async () => {
    const chunks = chunksOf(await askStream(engine))
    expect(chunks.at(-1).choices[0]).toMatchObject({ delta: { content: '' }, finish_reason: 'stop', stop_reason: null })
    expect(chunks.length).toBeGreaterThan(40)
  })
})

describe('an answer in one piece', () => {
  it('has vLLM’s fields and says what the stream says', async () => {
    const whole = await askJson(engine, { body: { ...four, seed: 5 }, headers: { 'x-request-id': 'r2' } })
    expect(whole).toEqual({
      id: 'chatcmpl-r2',
      object: 'chat.completion',
      created: expect.any(Number),
      model: MODEL,
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: textOf(await askStream(engine, { ...four, seed: 5 })),
            refusal: null,
            annotations: null,
            audio: null,
            function_call: null,
            reasoning: null
          },
          logprobs: null,
          finish_reason: 'length',
          stop_reason: null,
          token_ids: null,
          routed_experts: null
        }
      ],
      service_tier: null,
      system_fingerprint: expect.stringMatching(/^vllm-/),
      usage: { prompt_tokens: 13, total_tokens: 17, completion_tokens: 4, prompt_tokens_details: null },
      prompt_logprobs: null,
      prompt_token_ids: null,
      prompt_text: null,
      kv_transfer_params: null
    })
  })

  it('ends at a stop string that spans tokens, which is named and not shown', async () => {
    const free = (await askJson(engine)).choices[0].message.content as string
    const stop = free.slice(12, 22)
    const { choices, usage } = await askJson(engine, { body: { stop: ['never there', stop] } })
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', stop_reason: stop })
    expect(choices[0].message.content).toBe(free.slice(0, free.indexOf(stop)))
    expect(usage.completion_tokens).toBeGreaterThan(2)
    expect(textOf(await askStream(engine, { stop }))).toBe(choices[0].message.content)
  })

  it('goes on beyond its end with ignore_eos or min_tokens', async () => {
    const free = await askJson(engine)
    expect(free.choices[0].finish_reason).toBe('stop')
    const tokens = free.usage.completion_tokens + 20
    const forced = await askJson(engine, { body: { ignore_eos: true, max_tokens: tokens } })
    expect(forced).toMatchObject({ usage: { completion_tokens: tokens }, choices: [{ finish_reason: 'length' }] })
    const least = await askJson(engine, { body: { min_tokens: tokens } })
    expect(least.usage.completion_tokens).toBeGreaterThan(tokens)
  })
})

describe('log probabilities', () => {
  it('come with each token of a chat, with as many alternatives as asked', async () => {
    const chunks = chunksOf(await askStream(engine, { ...four, logprobs: true, top_logprobs: 2 })).slice(1)
    expect(chunks).toHaveLength(4)
    for (const { choices } of chunks) {
      const [{ token, logprob, bytes, top_logprobs }] = choices[0].logprobs.content
      expect(token).toBe(choices[0].delta.content)
      expect(Buffer.from(bytes).toString()).toBe(token)
      expect(top_logprobs[0]).toEqual({ token, logprob, bytes })
      expect(top_logprobs).toHaveLength(2)
      expect(top_logprobs[1].logprob).toBeLessThan(logprob)
    }
  })

  it('come with a completion in lists, one alternative more than asked and the offsets of the text', async () => {
    const { choices } = await askJson(engine, { ...COMPLETION, body: { ...four, logprobs: 1 } })
    const { tokens, text_offset, token_logprobs, top_logprobs } = choices[0].logprobs
    expect(tokens.join('')).toBe(choices[0].text)
    expect(text_offset).toEqual(tokens.map((_: string, at: number) => tokens.slice(0, at).join('').length))
    expect(token_logprobs).toHaveLength(4)
    expect(Object.keys(top_logprobs[0])).toHaveLength(2)
  })
})

describe('a completion', () => {
  it('streams without a role chunk, with all four choice fields that vLLM sets', async () => {
    const text = await askStream(engine, four, COMPLETION)
    const chunks = chunksOf(text)
    expect(chunks).toHaveLength(4)
    expect(chunks[0].id).toMatch(/^cmpl-/)
    expect(chunks[0].object).toBe('text_completion')
    expect(Object.keys(chunks[0].choices[0])).toEqual(
      'index text logprobs finish_reason stop_reason prompt_token_ids token_ids'.split(' ')
    )
    expect(eventsOf(text).at(-1)).toBe('[DONE]')
  })

  it('answers each prompt n times, text or token ids, and 16 tokens long unless told', async () => {
    const { choices, usage } = await askJson(engine, {
      ...COMPLETION,
      body: { prompt: ['a', 'b'], n: 2, ignore_eos: true }
    })
    expect(choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2, 3])
    expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 64 })
    const ids = await askJson(engine, { ...COMPLETION, body: { ...four, prompt: [1, 2, 3] } })
    expect(ids.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 4 })
  })

  it('begins with the prompt when it is to be echoed', async () => {
    const body = { ...four, prompt: 'Once upon', echo: true, seed: 3 }
    const { choices } = await askJson(engine, { ...COMPLETION, body })
    expect(choices[0].text).toMatch(/^Once upon/)
    expect(textOf(await askStream(engine, body, COMPLETION))).toBe(choices[0].text)
  })
})

describe('the seed', () => {
  it('of the engine decides what it says: the same for the same request, another on another engine', async () => {
    await using other = await start({ seed: 2 })
    const [first, again, elsewhere] = await Promise.all([askStream(engine), askStream(engine), askStream(other)])
    expect(textOf(first)).toBe(textOf(again))
    expect(textOf(first)).not.toBe(textOf(elsewhere))
  })

  it('of the request makes every engine say the same', async () => {
    await using other = await start({ seed: 2 })
    expect(textOf(await askStream(engine, { seed: 9 }))).toBe(textOf(await askStream(other, { seed: 9 })))
  })
})
