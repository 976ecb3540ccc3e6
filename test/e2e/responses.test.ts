// Responses by the official SDK: streamed and not, their endings, their cap, their cancel.
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chat, jsonOf } from '../helpers/client.ts'
import { KEY, MODEL, SMALL_KEY, startBy, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { newRequestId, recordOf } from '../helpers/told.ts'

type Faults = Parameters<SimEngine['setFaults']>[0]

describe.each(WAYS)('by way of %s,', (way) => {
  const startGateway = startBy(way)
  let gateway: TestGateway
  let client: OpenAI
  beforeEach(async () => {
    gateway = await startGateway({ engines: [{}, {}] })
    client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: KEY, maxRetries: 0 })
  })
  afterEach(() => gateway[Symbol.asyncDispose]())

  const ASKED = { model: MODEL, input: 'Tell me of rivers.', ignore_eos: true }
  const lastLog = () => gateway.log.findLast((line) => line.message === 'request')
  const both = (...faults: Faults) => {
    for (const engine of gateway.engines) engine.setFaults(faults)
  }
  const untilFree = () =>
    until('the engines are free', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0)
  /** A raw stream as text. */
  const streamed = async (body: object = {}, headers: Record<string, string> = {}) => {
    const request = { path: '/v1/responses', headers, body: { ...ASKED, max_output_tokens: 10, stream: true, ...body } }
    const response = await chat(gateway.address, request)
    return { response, text: await response.text() }
  }

  describe('the official SDK', () => {
    it('gets an answer in one piece', async () => {
      const response = await client.responses.create({ ...ASKED, max_output_tokens: 20 })
      expect(response.output_text).toMatch(/\w/)
      expect(response.status).toBe('incomplete')
      expect(response.usage?.output_tokens).toBe(20)
      await until('it is told', () => lastLog()?.outputTokens === 20)
      expect(lastLog()).toMatchObject({ outcome: 'complete', path: '/v1/responses', maxTokens: 20 })
    })

    it('streams events in their order, and ends with the reason', async () => {
      const stream = await client.responses.create({ ...ASKED, max_output_tokens: 20, stream: true })
      const events: OpenAI.Responses.ResponseStreamEvent[] = []
      for await (const event of stream) events.push(event)
      expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index))
      expect(events[0]?.type).toBe('response.created')
      const last = events.at(-1)
      expect(last).toMatchObject({
        type: 'response.incomplete',
        response: { incomplete_details: { reason: 'max_output_tokens' } }
      })
      await until('it is told', () => lastLog()?.outputTokens === 20)
      expect(lastLog()).toMatchObject({ outcome: 'complete', stream: true, promptTokens: expect.any(Number) })
    })

    it('accumulates a response that completes by itself', async () => {
      const asked = { model: MODEL, input: 'Tell me of rivers.', instructions: 'Be brief.', max_output_tokens: 5_000 }
      const stream = client.responses.stream(asked)
      let text = ''
      stream.on('response.output_text.delta', ({ delta }) => {
        text += delta
      })
      const response = await stream.finalResponse()
      expect(response.status).toBe('completed')
      expect(response.output_text).toBe(text)
    })

    it('frees the engine when it is aborted', async () => {
      const stream = await client.responses.create({ ...ASKED, max_output_tokens: 30_000, stream: true })
      let events = 0
      for await (const _ of stream) if (++events === 12) stream.controller.abort()
      await until('the engine stops', () => gateway.engines.some(({ stats }) => stats.aborted === 1))
      await until('it is told', () => lastLog()?.outcome === 'client_gone')
      expect(lastLog()?.outputTokens).toBeGreaterThanOrEqual(12 - 4)
    })

    it.each([
      ['dies', { kind: 'reset', afterTokens: 3 }],
      ['ends without a last event', { kind: 'truncate', afterTokens: 3 }],
      ['says that it failed', { kind: 'error-frame', afterTokens: 3 }],
      ['sends what is no JSON', { kind: 'malformed', afterTokens: 3 }],
      ['is shut down', { kind: 'abort', afterTokens: 3 }]
    ] as [string, Faults[number]][])('raises an exception when the engine %s in the middle', async (_how, fault) => {
      both(fault)
      const stream = await client.responses.create({ ...ASKED, max_output_tokens: 50, stream: true })
      const types: string[] = []
      const read = async () => {
        for await (const { type } of stream) types.push(type)
      }
      await expect(read()).rejects.toThrow(OpenAI.APIError)
      expect(types.filter((type) => type.endsWith('.delta'))).toHaveLength(3)
      expect(types.filter((type) => /completed|failed|incomplete/.test(type))).toEqual([])
      await until('it is told', () => lastLog()?.code === 'upstream_error')
      await untilFree()
    })
  })

  it('an error event has the number that follows, and nothing comes after it', async () => {
    both({ kind: 'reset', afterTokens: 3 })
    const { response, text } = await streamed()
    expect(response.status).toBe(200)
    const events = text.trim().split('\n\n')
    const [name, data] = events.at(-1)?.split('\n') ?? []
    expect(name).toBe('event: error')
    expect(JSON.parse(data?.slice(6) ?? '')).toEqual({
      type: 'error',
      code: 'upstream_error',
      message: 'The engine failed while it answered.',
      param: null,
      sequence_number: events.length - 1
    })
    expect(text).not.toContain('[DONE]')
  })

  it('an answer that never begins ends after heartbeats with an event that has the first number', async () => {
    await using quiet = await startGateway({
      engines: [{ faults: [{ kind: 'stall', afterTokens: 0 }] }],
      config: { budget: { connectMs: 1_000, heartbeatMs: 50, firstTokenMs: 3_000 } }
    })
    const response = await chat(quiet.address, {
      path: '/v1/responses',
      body: { ...ASKED, max_output_tokens: 9, stream: true }
    })
    const events = (await response.text()).trim().split('\n\n')
    expect(events.length).toBeGreaterThan(1)
    expect(events.slice(0, -1)).toEqual(events.slice(0, -1).map(() => ': heartbeat'))
    expect(events.at(-1)).toContain('"code":"ttft_timeout"')
    expect(events.at(-1)).toContain('"sequence_number":0')
  })

  it.each([
    ['is shut down', { kind: 'abort', afterTokens: 0 }],
    ['dies', { kind: 'reset', afterTokens: 0 }],
    ['is full', { kind: 'status', status: 503 }]
  ] as [string, Faults[number]][])(
    'another engine is asked when the first %s before its first token',
    async (_how, fault) => {
      gateway.engines[0]?.setFaults([fault])
      for (const stream of [true, false]) {
        let record: Record<string, unknown> = {}
        // chance may choose the other one, and one that was full is left alone for a while
        await until('both were asked', async () => {
          const requestId = newRequestId()
          const { text } = await streamed({ stream }, { 'x-request-id': requestId })
          expect(text.match(/"type":"response.created"/g)?.length ?? 0).toBe(stream ? 1 : 0)
          expect(text).toContain('"output_tokens":10')
          record = await recordOf(gateway, requestId)
          return record.attempts === 2
        })
        expect(record).toMatchObject({ outcome: 'complete', attempts: 2, stream })
      }
    }
  )

  it('the cap of a key holds, in the field of the API', async () => {
    const { response, text } = await streamed({ max_output_tokens: 5_000, stream: false })
    expect(JSON.parse(text).usage.output_tokens).toBe(5_000)
    expect(response.headers.get('x-sluice-max-tokens')).toBe('5000')
    const small = await chat(gateway.address, { path: '/v1/responses', key: SMALL_KEY, body: ASKED })
    expect((await jsonOf(small)).usage.output_tokens).toBe(10)
  })

  it('an engine is asked to keep nothing', async () => {
    await streamed({ store: true })
    const asked = gateway.engines.flatMap(({ stats }) => stats.recent.map(({ body }) => body))
    expect(asked).toEqual([expect.objectContaining({ store: false, max_output_tokens: 10, stream: true })])
  })

  it.each([
    ['previous_response_id', 'resp_1'],
    ['conversation', { id: 'conv_1' }],
    ['background', true]
  ])('%s is refused, with what to do in its place', async (param, value) => {
    const { response, text } = await streamed({ [param]: value })
    expect(response.status).toBe(400)
    expect(JSON.parse(text).error).toMatchObject({
      code: 'invalid_request',
      param,
      message: expect.stringMatching(/Send|Ask/)
    })
  })

  it('a stream that asks for its figures has them before its last event', async () => {
    const { text } = await streamed({}, { 'x-sluice-timing': '1' })
    expect(text.trim().split('\n\n').at(-2)).toMatch(/^: sluice ttft_ms=[\d.]+ tokens=10 /)
  })
})
