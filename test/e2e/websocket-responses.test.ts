// OpenAI's WebSocket mode: the official SDK's own class unchanged, and by hand what it does not let one see.
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { KEY, MODEL, ROOMY, startBy, startGateway, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { closeTalks, type Talk } from '../helpers/websocket.ts'
import { createResponse, ended, talkOfResponses } from '../helpers/websocket-responses.ts'

const LONG = { max_output_tokens: 50_000, ignore_eos: true }

afterEach(closeTalks)

const deltas = ({ heard }: Talk, lane: string | undefined) =>
  heard.filter(({ type, stream_id }) => type === 'response.output_text.delta' && stream_id === lane)

describe.each(WAYS)('the official SDK by way of %s,', (way) => {
  let gateway: TestGateway
  let client: OpenAI
  beforeAll(async () => {
    gateway = await startBy(way)({ engines: [ROOMY] })
    client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: KEY, maxRetries: 0 })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  /** Reads one response to its end: its text, and what it is in the end. */
  async function read(events: ReturnType<ResponsesWS['stream']>) {
    let text = ''
    for (;;) {
      const { value, done } = await events.next()
      if (done) throw new Error('closed before the response had ended')
      if (value.type === 'error') throw value.error
      if (value.type !== 'message') continue
      const { message } = value
      if (message.type === 'response.output_text.delta') text += message.delta
      if (message.type === 'response.completed' || message.type === 'response.incomplete')
        return { text, response: message.response, lane: message.stream_id }
    }
  }

  it('streams a response and goes on from it with new input only', async () => {
    const ws = new ResponsesWS(client)
    const events = ws.stream()
    try {
      const shared = {
        type: 'response.create',
        stream_id: 'main',
        model: MODEL,
        store: false,
        max_output_tokens: 4_000
      } as const
      ws.send({ ...shared, input: 'Tell me of rivers.' })
      const first = await read(events)
      expect(first).toMatchObject({ lane: 'main', response: { status: 'completed' } })
      expect(first.text.split(' ').length).toBeGreaterThan(3)
      expect(first.response.output[0]).toMatchObject({ content: [{ text: first.text }] })
      const previous_response_id = first.response.id
      ws.send({ ...shared, previous_response_id, input: 'And lakes?' })
      const second = await read(events)
      const asked = first.response.usage?.input_tokens ?? Number.NaN
      const said = first.response.usage?.output_tokens ?? Number.NaN
      expect(second.response.usage?.input_tokens).toBeGreaterThan(asked + said)
    } finally {
      await events.return?.()
      ws.close()
    }
  })

  it('raises an error event, and the connection goes on', async () => {
    const ws = new ResponsesWS(client)
    const events = ws.stream()
    try {
      ws.send({ type: 'response.create', model: 'nobody', input: 'Hello' })
      await expect(read(events)).rejects.toMatchObject({
        error: { type: 'error', status: 404, error: { code: 'model_not_found', param: 'model' } }
      })
      ws.send({ type: 'response.create', model: MODEL, input: 'Hello', max_output_tokens: 3 })
      expect((await read(events)).response.incomplete_details?.reason).toBe('max_output_tokens')
    } finally {
      await events.return?.()
      ws.close()
    }
  })

  it('closes its socket and frees the engine', async () => {
    const aborted = gateway.engines[0]?.stats.aborted ?? 0
    const ws = new ResponsesWS(client)
    const delta = new Promise((resolve) => ws.once('response.output_text.delta', resolve))
    ws.send({ type: 'response.create', model: MODEL, input: 'Hello', ...LONG } as Parameters<typeof ws.send>[0])
    await delta
    ws.close()
    await until('the engine notices', () => gateway.engines[0]?.stats.aborted === aborted + 1)
  })

  it('reports an engine that dies in the middle, and another lane never notices', async () => {
    await using broken = await startBy(way)({ engines: [{ ...ROOMY, faults: [{ kind: 'reset', afterTokens: 6 }] }] })
    const ws = new ResponsesWS(new OpenAI({ baseURL: `${broken.address}/v1`, apiKey: KEY, maxRetries: 0 }))
    const events = ws.stream()
    ws.send({ type: 'response.create', model: MODEL, stream_id: 'main', input: 'Hello', max_output_tokens: 50 })
    await expect(read(events)).rejects.toMatchObject({
      error: { status: 502, stream_id: 'main', error: { code: 'upstream_error' } }
    })
    await events.return?.()
    ws.close()
  })
})

describe('lanes', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    // as many messages as a test sends at once
    gateway = await startGateway({ engines: [ROOMY], config: { websocket: { messagesPerSecond: 1_000 } } })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())
  const engine = () => gateway.engines[0] as TestGateway['engines'][number]

  it('run beside each other, and one after the other within', async () => {
    const ours = await talkOfResponses(gateway)
    const tokens = { max_output_tokens: 40, ignore_eos: true }
    for (const stream_id of ['a', 'a', 'b', undefined]) ours.say(createResponse({ stream_id, ...tokens }))
    await ended(ours, 'a', 2)
    await ended(ours, 'b')
    await ended(ours, undefined)
    const lane = ours.heard.filter(({ stream_id }) => stream_id === 'a').map(({ type }) => type)
    expect(lane.filter((type) => /created|incomplete/.test(type))).toEqual([
      'response.created',
      'response.incomplete',
      'response.created',
      'response.incomplete'
    ])
    const order = ours.heard.map(({ stream_id }) => stream_id)
    expect(order.indexOf('b')).toBeLessThan(order.lastIndexOf('a'))
    expect(deltas(ours, undefined).length).toBe(40)
    expect(ours.heard.some((message) => 'stream_id' in message && message.stream_id === undefined)).toBe(false)
  })

  it('number their events from 0', async () => {
    const ours = await talkOfResponses(gateway)
    ours.say(createResponse({ max_output_tokens: 5 }))
    await ended(ours, undefined)
    expect(ours.heard.map(({ sequence_number }) => sequence_number)).toEqual(ours.heard.map((_, index) => index))
  })

  it('are 32 by name at most, and the default lane beside them', async () => {
    const ours = await talkOfResponses(gateway)
    for (let i = 0; i < 33; i++) ours.say(createResponse({ stream_id: `lane-${i}`, max_output_tokens: 1 }))
    expect(await ours.hear({ type: 'error' })).toMatchObject({
      status: 400,
      stream_id: 'lane-32',
      error: { code: 'websocket_stream_limit_reached', param: 'stream_id' }
    })
    ours.say(createResponse({ max_output_tokens: 1 }))
    ours.say(createResponse({ stream_id: 'lane-0', max_output_tokens: 1 }))
    await ended(ours, undefined)
    await ended(ours, 'lane-0', 2)
  })

  it('wait for a place when 16 run, and for no more than 64 requests', async () => {
    const ours = await talkOfResponses(gateway)
    for (let i = 0; i < 17; i++) ours.say(createResponse({ stream_id: `lane-${i}`, ...LONG }))
    await until('16 run', () => engine().stats.running === 16)
    expect(deltas(ours, 'lane-16')).toEqual([])
    for (let i = 0; i < 64; i++) ours.say(createResponse({ stream_id: 'lane-0' }))
    expect(await ours.hear({ type: 'error' })).toMatchObject({ status: 429, error: { code: 'too_many_streams' } })
    ours.say({ type: 'response.cancel', stream_id: 'lane-1' })
    await until('the 17th runs', () => deltas(ours, 'lane-16').length > 0)
    ours.socket.terminate()
    await until('the engine runs nothing', () => engine().stats.running === 0 && engine().stats.waiting === 0)
    expect(engine().stats.requests).toBeLessThan(200)
  })

  it.each(['', 'a b', 'x'.repeat(257), 7, null])('can’t be called %j', async (stream_id) => {
    const ours = await talkOfResponses(gateway)
    ours.say(createResponse({ stream_id }))
    const refused = await ours.hear({ type: 'error' })
    expect(refused).toMatchObject({ status: 400, error: { code: 'invalid_stream_id', param: 'stream_id' } })
    expect(refused.stream_id).toBeUndefined()
  })

  it('are broken off by response.cancel, which frees the engine and leaves the lane to the next request', async () => {
    const ours = await talkOfResponses(gateway)
    const aborted = engine().stats.aborted
    ours.say(createResponse({ stream_id: 'a', ...LONG }))
    ours.say(createResponse({ stream_id: 'a', max_output_tokens: 2 }))
    await ours.hear({ type: 'response.output_text.delta', stream_id: 'a' })
    ours.say({ type: 'response.cancel', stream_id: 'a' })
    const first = await ended(ours, 'a')
    expect(first).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'cancelled' } })
    expect(first.id).toBe(ours.heard[0].response.id)
    await until('the engine notices', () => engine().stats.aborted === aborted + 1)
    expect(await ended(ours, 'a', 2)).toMatchObject({ incomplete_details: { reason: 'max_output_tokens' } })
    ours.say({ type: 'response.cancel', stream_id: 'a' })
    expect(await ours.hear({ type: 'error' })).toMatchObject({ stream_id: 'a', error: { code: 'unknown_id' } })
  })
})

describe('an event that is wrong', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway({ engines: [ROOMY] })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  it.each([
    ['no JSON', '{', { status: 400, error: { code: 'invalid_json' } }],
    ['another type', { type: 'session.update' }, { error: { code: 'invalid_request', param: 'type' } }],
    ['no model', { type: 'response.create', input: 'Hello' }, { error: { param: 'model' } }],
    ['a background', createResponse({ background: true }), { error: { param: 'background' } }],
    ['a conversation', createResponse({ conversation: 'conv_1' }), { error: { param: 'conversation' } }],
    ['no stream', createResponse({ stream: false }), { error: { param: 'stream' } }],
    ['a number for an id', createResponse({ previous_response_id: 7 }), { error: { param: 'previous_response_id' } }],
    [
      'nobody’s id',
      createResponse({ previous_response_id: 'resp_x' }),
      { error: { code: 'previous_response_not_found' } }
    ],
    ['a limit of nothing', createResponse({ max_output_tokens: 0 }), { error: { param: 'max_output_tokens' } }]
  ])('by %s gets an error event', async (_what, event, expected) => {
    const ours = await talkOfResponses(gateway)
    ours.say(event)
    expect(await ours.hear({ type: 'error' })).toMatchObject({ status: 400, ...expected })
    ours.say(createResponse({ max_output_tokens: 1 }))
    await ended(ours, undefined)
  })

  it('is none where it steers: the input comes back, as from a model that can’t be steered', async () => {
    const ours = await talkOfResponses(gateway)
    ours.say({ type: 'response.steer', previous_response_id: 'resp_1', input: 'Shorter!' })
    expect(await ours.hear({ type: 'response.steer.failed' })).toMatchObject({
      steer: { previous_response_id: 'resp_1', input: 'Shorter!' },
      error: { type: 'invalid_request_error', code: 'steering_not_supported' }
    })
  })
})

describe('a peer that steers and does not read', () => {
  it('gets no input back while much waits to leave, so that nothing piles up', async () => {
    await using gateway = await startGateway({ engines: [ROOMY] })
    const ours = await talkOfResponses(gateway)
    ours.socket.pause()
    for (let i = 0; i < 40; i++) ours.say({ type: 'response.steer', input: 'x'.repeat(1_048_576) })
    await until('everything has been taken', () => ours.socket.bufferedAmount === 0)
    ours.socket.resume()
    await until('everything is answered', () => ours.heard.length === 40)
    expect(ours.heard.filter(({ type }) => type === 'response.steer.failed').length).toBeLessThan(30)
    expect(ours.heard.at(-1)).toMatchObject({ type: 'error', status: 400, error: { param: 'type' } })
  })
})
