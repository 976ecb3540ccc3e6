import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../gateway/sim/engine.ts'
import { ask, askJson, jsonOf, start } from './ask.ts'

let engine: SimEngine
beforeAll(async () => {
  engine = await start({ maxModelLen: 100, models: ['one', 'two'] })
})
afterAll(() => engine.close())

describe('what vLLM refuses, with its words and fields', () => {
  it.each([
    ['an unknown model', { model: 'three' }, 404, 'NotFoundError', 'model', 'The model `three` does not exist.'],
    ['a cap below 1', { max_tokens: 0 }, 400, 'BadRequestError', 'max_tokens', 'max_tokens'],
    ['messages that are none', { messages: 'hello' }, 400, 'BadRequestError', 'messages', 'messages'],
    ['no choice', { n: 0 }, 400, 'BadRequestError', 'n', 'n:'],
    ['alternatives without logprobs', { top_logprobs: 2 }, 400, 'BadRequestError', 'top_logprobs', 'must be set'],
    [
      'stream options without a stream',
      { stream_options: {} },
      400,
      'BadRequestError',
      'stream_options',
      '`stream=True`'
    ],
    [
      'more than the context holds',
      { max_tokens: 95 },
      400,
      'BadRequestError',
      'input_tokens',
      'context length is 100 tokens'
    ],
    ['a longer minimum than maximum', { min_tokens: 9, max_tokens: 3 }, 400, 'BadRequestError', null, 'min_tokens']
  ])('%s', async (_, body, status, type, param, words) => {
    const response = await ask(engine, { body: { model: 'one', ...body } })
    expect(response.status).toBe(status)
    const { error } = await jsonOf(response)
    expect(error).toEqual({ message: expect.stringContaining(words), type, param, code: status })
  })

  it('a body that is not JSON', async () => {
    const response = await fetch(`${engine.url}/v1/chat/completions`, { method: 'POST', body: '{"model":' })
    expect(response.status).toBe(400)
    expect((await jsonOf(response)).error.message).toMatch(/^JSON decode error/)
  })

  it('a prompt that fills the context by itself', async () => {
    const response = await ask(engine, { path: '/v1/completions', body: { model: 'one', prompt: 'word '.repeat(200) } })
    expect(response.status).toBe(400)
  })
})

describe('what vLLM takes', () => {
  it('every served name, which the answer repeats', async () => {
    expect((await askJson(engine, { body: { model: 'two', max_tokens: 1 } })).model).toBe('two')
  })

  it('no model, which is the first one', async () => {
    expect((await askJson(engine, { body: { model: undefined, max_tokens: 1 } })).model).toBe('one')
  })

  it('content in parts, and fields that it does not know', async () => {
    const content = [
      { type: 'text', text: 'Hello' },
      { type: 'image_url', image_url: { url: 'x' } }
    ]
    const body = {
      model: 'one',
      messages: [{ role: 'user', content }],
      max_completion_tokens: 2,
      top_k: 5,
      ignore_eos: true
    }
    expect((await askJson(engine, { body })).usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 2 })
  })

  it('no cap for a chat, which is the rest of the context', async () => {
    const { usage } = await askJson(engine, { body: { model: 'one', ignore_eos: true } })
    expect(usage.total_tokens).toBe(100)
  })

  it('an empty engine is refused at the start, and so is one too small for its context', async () => {
    await expect(start({ models: [] })).rejects.toThrow('at least one model')
    await expect(start({ maxModelLen: 100, kvBlocks: 6 })).rejects.toThrow('needs 7 KV blocks')
  })
})
