// Sluice's own protocol over real sockets: streams beside each other, their ends, and messages that are wrong.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { chat, LONG, textOf } from '../helpers/client.ts'
import {
  expectNothingLeft,
  MODEL,
  ROOMY,
  startBy,
  startGateway,
  type TestGateway,
  until,
  WAYS
} from '../helpers/gateway.ts'
import { closeTalks, create, type Talk, talk, textOfChunks } from '../helpers/websocket.ts'

afterEach(closeTalks)

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
    const done = await ours.hear({ type: 'done', id: 'dropped' })
    expect(done).toMatchObject({ reason: 'cancelled' })
    await until('the engine notices', () => engine().stats.aborted === aborted + 1)
    expect(await ours.hear({ type: 'done', id: 'kept' })).toMatchObject({ reason: 'complete' })
    expect(ours.heard.slice(ours.heard.indexOf(done) + 1).filter(({ id }) => id === 'dropped')).toEqual([])
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
    await until('the others are gone', async () => (await gateway.metric('sluice_websockets')) === 0)
    const ours = await talk(gateway)
    const [aborted, gone] = [
      engine().stats.aborted,
      await gateway.metric('sluice_requests_total', { outcome: 'client_gone' })
    ]
    for (const id of ['a', 'b', 'c']) ours.say(create(id, LONG))
    for (const id of ['a', 'b', 'c']) await ours.hear({ type: 'chunk', id })
    expect(await gateway.metric('sluice_websockets')).toBe(1)
    leave(ours)
    await until('the engine notices', () => engine().stats.aborted === aborted + 3)
    await until(
      'they are counted',
      async () => (await gateway.metric('sluice_requests_total', { outcome: 'client_gone' })) === gone + 3
    )
    await expectNothingLeft(gateway)
    await until('it is closed', async () => (await gateway.metric('sluice_websockets')) === 0)
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
