// Sluice's own protocol over real sockets: streams beside each other, their ends, and everything that a client may do wrong.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { chat, chatBody, jsonOf, textOf } from '../helpers/client.ts'
import { KEY, MODEL, SMALL_KEY, startBy, startGateway, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { refusalOf, type Talk, talkTo, textOfChunks } from '../helpers/websocket.ts'

const LONG = { max_tokens: 50_000, ignore_eos: true }
const create = (id: string, more: Record<string, unknown> = {}) => ({ type: 'create', id, body: chatBody(more) })

const ROOMY = { maxModelLen: 100_000, kvBlocks: 100_000 }
const talks: Talk[] = []
async function talk(gateway: TestGateway, options = {}): Promise<Talk> {
  const opened = await talkTo(gateway.address, options)
  talks.push(opened)
  return opened
}
afterEach(() => {
  for (const { socket } of talks.splice(0)) socket.terminate()
})

async function expectNothingLeft(gateway: TestGateway): Promise<void> {
  await until('the engine runs nothing', () => gateway.engines[0]?.stats.running === 0)
  await until('no slot is held', async () => (await gateway.metric('sluice_active_requests')) === 0)
  await until('no lease is held', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0)
}

describe.each(WAYS)('by way of %s,', (way) => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startBy(way)({ engines: [ROOMY] })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())
  const engine = () => gateway.engines[0] as TestGateway['engines'][number]

  it('a stream is created, comes in chunks and is done, with the words of the same request by POST', async () => {
    const ours = await talk(gateway)
    ours.say(create('a', { max_tokens: 30, seed: 7 }))
    const created = await ours.hear({ type: 'created', id: 'a' })
    expect(created).toMatchObject({ max_tokens: 30, request_id: expect.stringMatching(/^req_.+\.1$/) })
    expect(await ours.hear({ type: 'done', id: 'a' })).toEqual({ type: 'done', id: 'a', reason: 'complete' })
    const post = await (await chat(gateway.address, { body: { max_tokens: 30, seed: 7, stream: true } })).text()
    expect(textOfChunks(ours.heard, 'a')).toBe(textOf(post))
    expect(ours.heard.at(-2).data.choices[0].finish_reason).toMatch(/^(stop|length)$/)
    await until('it is logged', () => gateway.log.some((line) => line.requestId === created.request_id))
    expect(gateway.log.find((line) => line.requestId === created.request_id)).toMatchObject({
      outcome: 'complete',
      keyId: 'unrestricted',
      stream: true
    })
  })

  it('several streams come beside each other, each whole', async () => {
    const ours = await talk(gateway)
    for (const id of ['a', 'b', 'c']) ours.say(create(id, { max_tokens: 40, ignore_eos: true }))
    for (const id of ['a', 'b', 'c']) await ours.hear({ type: 'done', id })
    const order = ours.heard.filter(({ type }) => type === 'chunk').map(({ id }) => id)
    expect(new Set(order.slice(0, 9)).size).toBeGreaterThan(1)
    for (const id of ['a', 'b', 'c']) expect(order.filter((other) => other === id).length).toBeGreaterThan(40)
  })

  it('a stream that is cancelled frees the engine, ends once, and leaves its id and its neighbour alone', async () => {
    const ours = await talk(gateway)
    const aborted = engine().stats.aborted
    ours.say(create('kept', { max_tokens: 150, ignore_eos: true }))
    ours.say(create('dropped', LONG))
    await ours.hear({ type: 'chunk', id: 'dropped' })
    ours.say({ type: 'cancel', id: 'dropped' })
    expect(await ours.hear({ type: 'done', id: 'dropped' })).toMatchObject({ reason: 'cancelled' })
    const after = ours.heard.length
    await until('the engine notices', () => engine().stats.aborted === aborted + 1)
    expect(await ours.hear({ type: 'done', id: 'kept' })).toMatchObject({ reason: 'complete' })
    expect(ours.heard.slice(after).filter(({ id }) => id === 'dropped')).toEqual([])
    ours.say(create('dropped', { max_tokens: 3 }))
    await until(
      'the id is used again',
      () => ours.heard.filter(({ id, type }) => id === 'dropped' && type === 'created').length === 2
    )
  })

  it.each([
    ['vanishes', ({ socket }: Talk) => socket.terminate()],
    ['says goodbye', ({ socket }: Talk) => socket.close()]
  ])('a client that %s frees all of its streams at once', async (_how, leave) => {
    const ours = await talk(gateway)
    const [aborted, gone] = [
      engine().stats.aborted,
      await gateway.metric('sluice_requests_total', { outcome: 'client_gone' })
    ]
    for (const id of ['a', 'b', 'c']) ours.say(create(id, LONG))
    for (const id of ['a', 'b', 'c']) await ours.hear({ type: 'chunk', id })
    const open = await gateway.metric('sluice_websockets')
    leave(ours)
    await until('the engine notices', () => engine().stats.aborted === aborted + 3)
    await until(
      'they are counted',
      async () => (await gateway.metric('sluice_requests_total', { outcome: 'client_gone' })) === gone + 3
    )
    await expectNothingLeft(gateway)
    expect(await gateway.metric('sluice_websockets')).toBe(open - 1)
  })

  it('an engine that dies in the middle ends its stream with an error, and the connection goes on', async () => {
    engine().setFaults([{ kind: 'reset', afterTokens: 4 }])
    const ours = await talk(gateway)
    ours.say(create('a', { max_tokens: 50, ignore_eos: true }))
    expect(await ours.hear({ type: 'error', id: 'a' })).toMatchObject({
      status: 502,
      error: { code: 'upstream_error' }
    })
    engine().setFaults([])
    ours.say(create('b', { max_tokens: 5 }))
    await ours.hear({ type: 'done', id: 'b' })
    expect(ours.heard.filter(({ id, type }) => id === 'a' && type === 'done')).toEqual([])
  })
})

describe('a message that is wrong', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway({ engines: [ROOMY] })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  it.each([
    ['is no JSON', '{"type":', { status: 400, error: { code: 'invalid_json' } }],
    ['is a list', '[]', { error: { code: 'invalid_json', message: 'The message must be a JSON object.' } }],
    ['has no type', { id: 'a' }, { error: { code: 'invalid_request', param: 'type' } }],
    ['has another type', { type: 'update', id: 'a' }, { error: { code: 'invalid_request', param: 'type' } }],
    ['has no id', { type: 'create', body: {} }, { error: { code: 'invalid_request', param: 'id' } }],
    ['has a number for an id', { type: 'create', id: 7 }, { error: { code: 'invalid_request', param: 'id' } }],
    ['has an id that would break out of its text', { type: 'create', id: '","x":"' }, { error: { param: 'id' } }],
    ['has an id that is too long', { type: 'create', id: 'x'.repeat(129) }, { error: { param: 'id' } }],
    ['cancels what nobody knows', { type: 'cancel', id: 'nobody' }, { status: 404, error: { code: 'unknown_id' } }]
  ])('and %s is answered with an error that ends no stream', async (_what, message, expected) => {
    const ours = await talk(gateway)
    ours.say(message)
    expect(await ours.hear({ type: 'error' })).toMatchObject({ id: null, ...expected })
    ours.say(create('fine', { max_tokens: 2 }))
    await ours.hear({ type: 'done', id: 'fine' })
  })

  it.each([
    ['no body', { type: 'create', id: 'a' }, { error: { param: 'body' } }],
    ['a body that is a list', { type: 'create', id: 'a', body: [] }, { error: { code: 'invalid_json' } }],
    ['no such model', create('a', { model: 'nobody' }), { status: 404, error: { code: 'model_not_found' } }],
    ['a limit of nothing', create('a', { max_tokens: 0 }), { error: { param: 'max_tokens' } }],
    ['an answer in one piece', create('a', { stream: false }), { error: { param: 'stream' } }],
    ['what the engine refuses', create('a', { temperature: 9 }), { status: 400, error: { code: 'engine_refused' } }]
  ])('and asks for a stream with %s ends that stream', async (_what, message, expected) => {
    const ours = await talk(gateway)
    ours.say(message)
    expect(await ours.hear({ type: 'error' })).toMatchObject({ id: 'a', ...expected })
  })

  it('and uses an id twice is refused, and the first stream goes on', async () => {
    const ours = await talk(gateway)
    ours.say(create('a', { max_tokens: 40, ignore_eos: true }))
    ours.say(create('a', { max_tokens: 5 }))
    expect(await ours.hear({ type: 'error' })).toMatchObject({ id: null, status: 409, error: { code: 'duplicate_id' } })
    await ours.hear({ type: 'done', id: 'a' })
    expect(ours.heard.filter(({ type }) => type === 'chunk').length).toBeGreaterThan(40)
  })

  it('and is binary closes the connection with 1003', async () => {
    const ours = await talk(gateway)
    ours.socket.send(Buffer.from('{}'), { binary: true })
    expect((await ours.closed).code).toBe(1003)
  })

  it('and breaks the framing closes the connection, frees its streams and is told in the log', async () => {
    const ours = await talk(gateway)
    ours.say(create('a', LONG))
    await ours.hear({ type: 'chunk', id: 'a' })
    // a text frame that is not masked, as only a server may send it
    ;(ours.socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(Buffer.from([0x81, 0x01, 0x41]))
    expect((await ours.closed).code).toBe(1002)
    await expectNothingLeft(gateway)
    await until('it is logged', () =>
      gateway.log.some(({ message, cause }) => message === 'websocket closed' && /MASK/.test(String(cause)))
    )
  })
})

describe('the bounds of a connection', () => {
  const limits = { maxStreams: 2, maxMessageBytes: 4096, messagesPerSecond: 20, maxConnections: 3 }
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway({ engines: [ROOMY], config: { websocket: limits } })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  it('refuse one stream too many, and take it once another has ended', async () => {
    const ours = await talk(gateway)
    for (const id of ['a', 'b', 'c']) ours.say(create(id, LONG))
    const refused = await ours.hear({ type: 'error' })
    expect(refused).toMatchObject({ id: 'c', status: 429, retry_after_ms: 1000, error: { code: 'too_many_streams' } })
    ours.say({ type: 'cancel', id: 'a' })
    ours.say(create('d', { max_tokens: 2 }))
    await ours.hear({ type: 'done', id: 'd' })
  })

  it('close with 1009 what sends a message that is too large, and free its streams', async () => {
    const ours = await talk(gateway)
    ours.say(create('a', LONG))
    await ours.hear({ type: 'chunk', id: 'a' })
    ours.say(create('b', { user: 'x'.repeat(5000) }))
    expect((await ours.closed).code).toBe(1009)
    await expectNothingLeft(gateway)
  })

  it('close with 1008 what sends too many messages, with an error before', async () => {
    const ours = await talk(gateway)
    for (let i = 0; i < 30; i++) ours.say({ type: 'cancel', id: `x${i}` })
    expect(await ours.closed).toEqual({ code: 1008, reason: 'too many messages' })
    expect(ours.heard.at(-1)).toMatchObject({ id: null, status: 429, error: { code: 'too_many_messages' } })
    expect(ours.heard.length).toBe(21)
  })

  it('refuse one connection too many', async () => {
    await until(
      'the others are gone',
      async () => gateway.log.filter(({ message }) => message === 'websocket closed').length >= 3
    )
    await Promise.all([talk(gateway), talk(gateway), talk(gateway)])
    expect(await refusalOf(gateway.address, {})).toEqual({ status: 503, code: 'too_many_connections' })
  })
})

describe('who may connect', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway({ config: { corsOrigins: ['https://app.example.com'] } })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  it.each([
    ['without a key', { key: null }, { status: 401, code: 'missing_api_key' }],
    ['with a wrong key', { key: 'sk-nobody' }, { status: 401, code: 'invalid_api_key' }],
    [
      'with a wrong key as a subprotocol',
      { key: null, protocols: ['sluice', 'openai-insecure-api-key.sk-nobody'] },
      { status: 401, code: 'invalid_api_key' }
    ],
    [
      'with a key as the only subprotocol',
      { key: null, protocols: [`openai-insecure-api-key.${KEY}`] },
      { status: 400, code: 'invalid_request' }
    ],
    [
      'from a page of another origin',
      { origin: 'https://evil.example.com' },
      { status: 403, code: 'origin_not_allowed' }
    ],
    ['from a page that hides its origin', { origin: 'null' }, { status: 403, code: 'origin_not_allowed' }],
    ['at a path that takes none', { path: '/v1/completions' }, { status: 405, code: 'method_not_allowed' }]
  ])('%s is refused in plain HTTP', async (_who, options, expected) => {
    expect(await refusalOf(gateway.address, options)).toEqual(expected)
  })

  it.each([
    ['from a page of an allowed origin', { origin: 'https://app.example.com' }, ''],
    ['with a query', { path: '/v1/chat/completions?x=1' }, ''],
    [
      'by subprotocol, as a browser has to',
      { key: null, protocols: ['sluice', `openai-insecure-api-key.${KEY}`] },
      'sluice'
    ],
    [
      'by subprotocol, as for OpenAI’s Realtime API',
      { key: null, protocols: ['realtime', `openai-insecure-api-key.${KEY}`] },
      'realtime'
    ]
  ])('%s is let in', async (_who, options, protocol) => {
    const ours = await talk(gateway, options)
    expect(ours.socket.protocol).toBe(protocol)
    expect(ours.socket.extensions).toBe('')
    ours.say(create('a', { max_tokens: 2 }))
    await ours.hear({ type: 'done', id: 'a' })
  })

  it('from a page of its own address, as the console is, is let in', async () => {
    const ours = await talk(gateway, { origin: gateway.address })
    ours.say(create('a', { max_tokens: 2 }))
    await ours.hear({ type: 'done', id: 'a' })
  })

  it('holds each stream to the limits of its key', async () => {
    const ours = await talk(gateway, { key: null, protocols: ['sluice', `openai-insecure-api-key.${SMALL_KEY}`] })
    ours.say(create('a', { max_tokens: 5_000 }))
    expect(await ours.hear({ type: 'created' })).toMatchObject({ max_tokens: 10 })
  })

  it('never shows in the log', async () => {
    await talk(gateway, { key: null, protocols: ['sluice', `openai-insecure-api-key.${KEY}`] })
    await refusalOf(gateway.address, { key: null, protocols: ['sluice', 'openai-insecure-api-key.sk-nobody'] })
    talks.at(-1)?.socket.close()
    await until('it is closed', () => gateway.log.some(({ message }) => message === 'websocket closed'))
    expect(JSON.stringify(gateway.log)).not.toMatch(/sk-/)
    expect(await gateway.metric('sluice_refusals_total', { code: 'invalid_api_key' })).toBeGreaterThan(0)
  })

  it('a request that offers another protocol is answered as if it had not', async () => {
    const headers = {
      upgrade: 'h2c',
      connection: 'Upgrade, HTTP2-Settings',
      'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA'
    }
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${gateway.address}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...headers, authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
      })
      sent.once('response', (response) => resolve(response.resume().statusCode)).once('error', reject)
      sent.end(JSON.stringify(chatBody({ max_tokens: 2 })))
    })
    expect(status).toBe(200)
    expect((await jsonOf(await fetch(`${gateway.address}/v1/chat/completions`))).error.code).toBe('method_not_allowed')
  })
})

describe('a peer that is dead', () => {
  it('is given up after its pings, and its streams are freed', async () => {
    const budget = { heartbeatMs: 100, stalledMs: 300 }
    await using gateway = await startGateway({ engines: [ROOMY], config: { budget } })
    const ours = await talk(gateway)
    const pings: number[] = []
    ours.socket.on('ping', () => pings.push(performance.now()))
    await sleep(700)
    expect(ours.socket.readyState).toBe(ours.socket.OPEN)
    expect(pings.length).toBeGreaterThan(2)
    // from now on it answers nothing, and reads on: only pings can tell
    ours.socket.pong = () => {}
    ours.say(create('a', LONG))
    await ours.hear({ type: 'chunk', id: 'a' })
    expect((await ours.closed).code).toBe(1006)
    await expectNothingLeft(gateway)
    await until('it is logged', () => gateway.log.some(({ message }) => message === 'websocket closed'))
    expect(gateway.log.find(({ message }) => message === 'websocket closed')).toMatchObject({
      closeCode: 1006,
      cause: 'the peer answers no ping',
      streams: 1
    })
  })

  it('is given up when it goes on asking and reads nothing', async () => {
    // a busy machine may keep this client, too, from asking for a while
    const budget = { heartbeatMs: 1_000, stalledMs: 1_000 }
    const websocket = { messagesPerSecond: 100_000 }
    await using gateway = await startGateway({ engines: [ROOMY], config: { budget, websocket } })
    const ours = await talk(gateway)
    ours.socket.pause()
    const asking = setInterval(() => {
      for (let i = 0; i < 1_000; i++) ours.say({ type: 'cancel', id: 'x'.repeat(128) })
    }, 20)
    await until('it is logged', () => gateway.log.some(({ message }) => message === 'websocket closed'), 20_000)
    clearInterval(asking)
    expect(gateway.log.find(({ message }) => message === 'websocket closed')).toMatchObject({
      cause: 'the peer reads nothing'
    })
  })

  it('frees its streams at once when its TCP connection ends while much waits to leave, without a goodbye', async () => {
    const firehose = { ...ROOMY, pace: { prefillOverheadMs: 0, prefillPerTokenMs: 0, interTokenMs: 0 } }
    await using gateway = await startGateway({ engines: [firehose] })
    const ours = await talk(gateway)
    ours.say(create('a', { ...LONG, max_tokens: 90_000 }))
    await ours.hear({ type: 'chunk', id: 'a' })
    ours.socket.pause()
    const tokens = () => gateway.metric('sluice_output_tokens_total')
    await sleep(1_500)
    expect([gateway.engines[0]?.stats.running, await tokens()]).toEqual([1, 0])
    ;(ours.socket as unknown as { _socket: Socket })._socket.end()
    await expectNothingLeft(gateway)
  })

  it('is asked to reconnect when its connection is too old, after what is under way', async () => {
    await using gateway = await startGateway({ engines: [ROOMY], config: { websocket: { maxConnectionMs: 1_000 } } })
    const [busy, idle] = [await talk(gateway), await talk(gateway)]
    busy.say(create('a', { max_tokens: 1_500, ignore_eos: true }))
    expect(await idle.closed).toEqual({ code: 1001, reason: 'websocket_connection_limit_reached' })
    busy.say(create('b'))
    expect(await busy.hear({ type: 'error' })).toMatchObject({
      id: 'b',
      error: { code: 'websocket_connection_limit_reached' }
    })
    expect(await busy.hear({ type: 'done', id: 'a' })).toMatchObject({ reason: 'complete' })
    expect((await busy.closed).code).toBe(1001)
  })
})

describe(`model ${MODEL}`, () => {
  it('waits in the queue without a word until it is its turn, and the wait can be cancelled', async () => {
    await using gateway = await startGateway({ engines: [ROOMY], pool: { maxActivePerEngine: 1 } })
    const ours = await talk(gateway)
    ours.say(create('a', LONG))
    await ours.hear({ type: 'chunk', id: 'a' })
    ours.say(create('b', { max_tokens: 3 }))
    ours.say(create('c', { max_tokens: 3 }))
    await until('two wait', async () => (await gateway.metric('sluice_queued_requests')) === 2)
    ours.say({ type: 'cancel', id: 'b' })
    await until('one waits', async () => (await gateway.metric('sluice_queued_requests')) === 1)
    ours.say({ type: 'cancel', id: 'a' })
    await ours.hear({ type: 'done', id: 'c' })
    expect(gateway.engines[0]?.stats.requests).toBe(2)
  })
})
