// Connections of Sluice's own protocol: who gets one, how much it may do, and when it is given up.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { Socket } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { chatBody, jsonOf, LONG } from '../helpers/client.ts'
import {
  expectNothingLeft,
  INSTANT,
  KEY,
  ROOMY,
  SMALL_KEY,
  startGateway,
  type TestGateway,
  until
} from '../helpers/gateway.ts'
import { exchangeRaw } from '../helpers/raw-client.ts'
import { chunkOf, LAST_CHUNK } from '../helpers/scripted-engine.ts'
import { closeTalks, create, refusalOf, talk } from '../helpers/websocket.ts'

afterEach(closeTalks)

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
    // what may come in a second comes at once; a few more have been earned where that takes its time
    expect(ours.heard.length).toBeGreaterThanOrEqual(21)
    expect(ours.heard.length).toBeLessThan(30)
  })

  it('refuse one connection too many', async () => {
    await until('the others are gone', async () => (await gateway.metric('sluice_websockets')) === 0)
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
    const closed = () => gateway.log.filter(({ message }) => message === 'websocket closed').length
    await until('the others are gone', async () => (await gateway.metric('sluice_websockets')) === 0)
    const before = closed()
    const ours = await talk(gateway, { key: null, protocols: ['sluice', `openai-insecure-api-key.${KEY}`] })
    await refusalOf(gateway.address, { key: null, protocols: ['sluice', 'openai-insecure-api-key.sk-nobody'] })
    ours.socket.close()
    await until('it is told of', () => closed() === before + 1)
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

const UPGRADE = {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ=='
}

describe.each(['auto', 'fastify'] as const)(
  'a request for a WebSocket behind one of %s that is still answered',
  (clientServer) => {
    it('is answered in its turn, and gets no WebSocket in the middle of that answer', async () => {
      await using gateway = await startGateway({ engines: [{}], config: { clientServer } })
      const body = JSON.stringify(chatBody({ stream: true, max_tokens: 5, ignore_eos: true }))
      const head = (start: string, ...fields: string[]) =>
        [`${start} /v1/chat/completions HTTP/1.1`, 'host: x', `authorization: Bearer ${KEY}`, ...fields, '', ''].join(
          '\r\n'
        )
      // in chunks, so that either way Node's server has the connection
      const asked =
        head('POST', 'content-type: application/json', 'transfer-encoding: chunked') + chunkOf(body) + LAST_CHUNK
      const upgrade = Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}`)
      const text = await exchangeRaw(gateway.address, { pieces: [asked + head('GET', ...upgrade)] })
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
      expect(statuses).toEqual(['200', '405', '404'])
      expect(text.indexOf('[DONE]')).toBeLessThan(text.indexOf('HTTP/1.1 405'))
    })
  }
)

describe('a request for a WebSocket behind an answer that has left', () => {
  it('gets one on the same connection', async () => {
    await using gateway = await startGateway({ engines: [{}] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = (path: string, headers = {}) => request(gateway.address + path, { agent, headers }).end()
    const [answer] = await once(send('/healthz'), 'response')
    await readText(answer)
    const asked = send('/v1/chat/completions', { ...UPGRADE, authorization: `Bearer ${KEY}` })
    const [{ statusCode }] = await Promise.race([once(asked, 'upgrade'), once(asked, 'response')])
    expect([statusCode, asked.reusedSocket]).toEqual([101, true])
    agent.destroy()
    asked.destroy()
  })
})

describe('a peer that is dead', () => {
  it('is given up after its pings, and its streams are freed', async () => {
    // a busy machine may keep this client from answering for a while
    const budget = { heartbeatMs: 300, stalledMs: 3_000 }
    await using gateway = await startGateway({ engines: [ROOMY], config: { budget } })
    const ours = await talk(gateway)
    let pings = 0
    ours.socket.on('ping', () => pings++)
    await until('it has answered for longer than a dead one is waited for', () => pings > 12)
    expect(ours.socket.readyState).toBe(ours.socket.OPEN)
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
    const budget = { heartbeatMs: 1_000, stalledMs: 3_000 }
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
    await using gateway = await startGateway({ engines: [{ ...ROOMY, pace: INSTANT }] })
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
