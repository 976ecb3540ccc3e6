// Messages by Anthropic's official SDK: streamed and not, their endings, their cap, their cancel, their errors.
import Anthropic from '@anthropic-ai/sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chat, jsonOf } from '../helpers/client.ts'
import { KEY, MODEL, SMALL_KEY, startBy, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { cutEvery, startScriptedEngine, streamResponse, writePieces } from '../helpers/scripted-engine.ts'
import { newRequestId, recordOf } from '../helpers/told.ts'

type Faults = Parameters<SimEngine['setFaults']>[0]

describe.each(WAYS)('by way of %s,', (way) => {
  const startGateway = startBy(way)
  let gateway: TestGateway
  let client: Anthropic
  beforeEach(async () => {
    gateway = await startGateway({ engines: [{}, {}], pool: { queueMs: 1_000 } })
    client = new Anthropic({ baseURL: gateway.address, apiKey: KEY, maxRetries: 0 })
  })
  afterEach(() => gateway[Symbol.asyncDispose]())

  const ASKED = { model: MODEL, messages: [{ role: 'user' as const, content: 'Tell me of rivers.' }], ignore_eos: true }
  const lastLog = () => gateway.log.findLast((line) => line.message === 'request')
  const both = (...faults: Faults) => {
    for (const engine of gateway.engines) engine.setFaults(faults)
  }
  const post = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${gateway.address}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': KEY, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ ...ASKED, ...body })
    })

  describe('the official SDK', () => {
    it('gets an answer in one piece', async () => {
      const message = await client.messages.create({ ...ASKED, max_tokens: 20 })
      expect(message.content[0]).toMatchObject({ type: 'text', text: expect.stringMatching(/\w/) })
      expect(message).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 20 } })
      await until('it is told', () => lastLog()?.outputTokens === 20)
    })

    it('streams, with the reason and the counts', async () => {
      const stream = client.messages.stream({ ...ASKED, max_tokens: 20 })
      let text = ''
      stream.on('text', (piece) => {
        text += piece
      })
      const message = await stream.finalMessage()
      expect(message.content[0]).toMatchObject({ type: 'text', text })
      expect(message).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 20 } })
      await until('it is told', () => lastLog()?.outputTokens === 20)
      expect(lastLog()).toMatchObject({ outcome: 'complete', stream: true, promptTokens: expect.any(Number) })
    })

    it('counts tokens', async () => {
      const { input_tokens } = await client.messages.countTokens(ASKED)
      expect(input_tokens).toBeGreaterThan(5)
    })

    it('frees the engine when it is aborted', async () => {
      const stream = client.messages.stream({ ...ASKED, max_tokens: 30_000 })
      let events = 0
      stream.on('streamEvent', () => {
        if (++events === 12) stream.abort()
      })
      await expect(stream.done()).rejects.toThrow(Anthropic.APIUserAbortError)
      await until('the engine stops', () => gateway.engines.some(({ stats }) => stats.aborted === 1))
      await until('it is told', () => lastLog()?.outcome === 'client_gone')
      expect(lastLog()?.outputTokens).toBeGreaterThanOrEqual(12 - 2)
    })

    it.each([
      ['dies', { kind: 'reset', afterTokens: 3 }],
      ['ends without a last event', { kind: 'truncate', afterTokens: 3 }],
      ['says that it failed', { kind: 'error-frame', afterTokens: 3 }],
      ['sends what is no JSON', { kind: 'malformed', afterTokens: 3 }],
      ['is shut down', { kind: 'abort', afterTokens: 3 }]
    ] as [string, Faults[number]][])('raises an exception when the engine %s in the middle', async (_how, fault) => {
      both(fault)
      const stream = await client.messages.create({ ...ASKED, max_tokens: 50, stream: true })
      const types: string[] = []
      const read = async () => {
        for await (const { type } of stream) types.push(type)
      }
      const raised = await read().catch((cause) => cause)
      expect(raised).toBeInstanceOf(Anthropic.APIError)
      expect(raised.error).toEqual({
        type: 'error',
        error: { type: 'api_error', message: 'The engine failed while it answered.' }
      })
      expect(types.filter((type) => type === 'content_block_delta')).toHaveLength(3)
      expect(types).not.toContain('message_stop')
      await until('it is told', () => lastLog()?.code === 'upstream_error')
    })

    it.each([
      ['a comment', (event: string) => `: note\n${event}`],
      ['an id', (event: string) => `id: 7\n${event}`],
      ['data', (event: string) => event.replace(/(event: .*\n)(data: .*\n)/, '$2$1')]
    ])('reads events of which %s is the first line, as the gateway does', async (_what, write) => {
      const events = [
        { type: 'message_start', message: { content: [], usage: {} } },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Rivers' } },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { input_tokens: 9, output_tokens: 4 } },
        { type: 'message_stop' }
      ]
      const said = events.map((event) => write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)).join('')
      await using engine = await startScriptedEngine(({ socket }) =>
        writePieces(socket, cutEvery(streamResponse(said, 50), 40))
      )
      await using other = await startGateway({ engines: [], urls: [engine.url] })
      const asker = new Anthropic({ baseURL: other.address, apiKey: KEY, maxRetries: 0 })
      const message = await asker.messages.stream({ ...ASKED, max_tokens: 20 }).finalMessage()
      expect(message).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text', text: 'Rivers' }] })
      const told = () => other.log.find((line) => line.message === 'request')
      await until('it is told', () => told() !== undefined)
      expect(told()).toMatchObject({ outcome: 'complete', promptTokens: 9, outputTokens: 4 })
    })

    it('raises what it raises for Anthropic’s own errors', async () => {
      const nobody = new Anthropic({ baseURL: gateway.address, apiKey: 'sk-nobody', maxRetries: 0 })
      await expect(nobody.messages.create({ ...ASKED, max_tokens: 5 })).rejects.toThrow(Anthropic.AuthenticationError)
      const unknown = client.messages.create({ ...ASKED, model: 'no-such-model', max_tokens: 5 })
      await expect(unknown).rejects.toThrow(Anthropic.NotFoundError)
      both({ kind: 'status', status: 503 })
      const full = client.messages.create({ ...ASKED, max_tokens: 5 })
      await expect(full).rejects.toMatchObject({ status: 503, error: { error: { type: 'overloaded_error' } } })
    })
  })

  it('an error has Anthropic’s body, and the id of its request', async () => {
    const response = await post({ max_tokens: 0 }, { 'x-request-id': 'req-1' })
    expect(response.status).toBe(400)
    expect(await jsonOf(response)).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'max_tokens must be a whole number of at least 1.' },
      request_id: 'req-1'
    })
  })

  it('an engine’s refusal keeps its words, in Anthropic’s body', async () => {
    const response = await post({ max_tokens: 90_000 })
    expect(response.status).toBe(400)
    const { error } = await jsonOf(response)
    expect(error).toEqual({ type: 'invalid_request_error', message: expect.stringContaining('maximum context length') })
  })

  it('max_tokens is required, as in Anthropic’s API', async () => {
    const response = await post({})
    expect([response.status, (await jsonOf(response)).error.message]).toEqual([400, 'max_tokens is required.'])
  })

  it('the cap of a key holds', async () => {
    const response = await post({ max_tokens: 5_000 }, { 'x-api-key': SMALL_KEY })
    expect((await jsonOf(response)).usage.output_tokens).toBe(10)
  })

  it('a bearer token is a key, too', async () => {
    const response = await chat(gateway.address, { path: '/v1/messages', body: { ...ASKED, max_tokens: 3 } })
    expect(response.status).toBe(200)
  })

  it.each([
    ['is shut down', { kind: 'abort', afterTokens: 0 }],
    ['dies', { kind: 'reset', afterTokens: 0 }]
  ] as [string, Faults[number]][])(
    'another engine is asked when the first %s before its first token',
    async (_how, fault) => {
      gateway.engines[0]?.setFaults([fault])
      for (const stream of [true, false]) {
        let record: Record<string, unknown> = {}
        for (let tries = 0; record.attempts !== 2 && tries < 20; tries++) {
          const requestId = newRequestId()
          const text = await (await post({ max_tokens: 10, stream }, { 'x-request-id': requestId })).text()
          expect(text).toContain('"output_tokens":10')
          record = await recordOf(gateway, requestId)
        }
        expect(record).toMatchObject({ outcome: 'complete', attempts: 2, stream })
      }
    }
  )
})
