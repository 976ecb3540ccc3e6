// Whatever a client sends, it gets the same bytes from the gateway's own reader of plain requests as from Node's server alone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DONE_EVENT, FINISH, ROLE, TEXT } from '../helpers/fakes.ts'
import { KEY, MODEL, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { exchangeRaw, plain, type RawExchange } from '../helpers/raw-client.ts'
import { type ScriptedEngine, startScriptedEngine, streamResponse } from '../helpers/scripted-engine.ts'

const EVENTS = [ROLE(), TEXT('Rivers'), TEXT(' run'), FINISH('stop'), DONE_EVENT].join('')
const ANSWER = JSON.stringify({ choices: [{ index: 0, message: { content: 'Rivers' }, finish_reason: 'stop' }] })
const WHOLE = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${ANSWER.length}\r\n\r\n${ANSWER}`
const MAX_BODY = 2_048

let engine: ScriptedEngine
let own: TestGateway
let node: TestGateway
beforeAll(async () => {
  engine = await startScriptedEngine(({ body, socket }) => {
    socket.write(body.stream ? streamResponse(EVENTS, 60) : WHOLE)
  })
  const start = (clientServer: 'auto' | 'fastify') =>
    startGateway({
      engines: [],
      urls: [engine.url],
      config: { clientServer, maxBodyBytes: MAX_BODY, corsOrigins: ['https://a.example'] }
    })
  own = await start('auto')
  node = await start('fastify')
})
afterAll(async () => {
  await own[Symbol.asyncDispose]()
  await node[Symbol.asyncDispose]()
  await engine[Symbol.asyncDispose]()
})

const BODY = JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Rivers, é' }] })
const JSON_BODY = BODY.replace('"stream":true', '"stream":false')

interface Parts {
  readonly line?: string
  readonly fields?: readonly string[]
  readonly body?: string
  /** Replaces the length that the body has. */
  readonly length?: string | undefined
}

/** A request whose parts can each be spoilt. */
function request({
  line = 'POST /v1/chat/completions HTTP/1.1',
  fields = [],
  body = BODY,
  length
}: Parts = {}): Buffer {
  const lines = [
    line,
    ...(fields.some((field) => /^host/i.test(field)) ? [] : ['Host: gateway']),
    ...(fields.some((field) => /^authorization/i.test(field)) ? [] : [`Authorization: Bearer ${KEY}`]),
    ...(fields.some((field) => /^content-type/i.test(field)) ? [] : ['Content-Type: application/json']),
    ...fields,
    ...(length === '' ? [] : [`Content-Length: ${length ?? Buffer.byteLength(body)}`])
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

/** What is told of requests, by the log: nothing but times and ids may differ. */
const told = (gateway: TestGateway, from: number) =>
  gateway.log
    .slice(from)
    .map(({ time, requestId, queuedMs, ttftMs, interTokenMs, durationMs, ...line }) => line)
    .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))

/** Sends the same to both and compares answers and logs; gives the answer. */
async function compare(exchange: RawExchange): Promise<string> {
  const [ownFrom, nodeFrom] = [own.log.length, node.log.length]
  const [ours, nodes] = await Promise.all([exchangeRaw(own.address, exchange), exchangeRaw(node.address, exchange)])
  expect(plain(ours)).toBe(plain(nodes))
  // a client may be gone before its request is told of; what no parser takes has no id, and no line
  const leastLines = ours === '' || /^x-request-id: /im.test(ours) ? 1 : 0
  const same = () =>
    told(own, ownFrom).length >= leastLines &&
    JSON.stringify(told(own, ownFrom)) === JSON.stringify(told(node, nodeFrom))
  await until('both logs tell the same', same, 3_000).catch(() => undefined)
  expect(told(own, ownFrom)).toEqual(told(node, nodeFrom))
  return ours
}

const send = (parts: Parts) => ({ pieces: [request(parts)] })
const status = (answer: string) => Number(answer.slice(9, 12))

describe('a plain request', () => {
  it.each<[string, Parts]>([
    ['for a stream', {}],
    ['for a whole answer', { body: JSON_BODY }],
    [
      'for a text completion',
      { line: 'POST /v1/completions HTTP/1.1', body: JSON.stringify({ model: MODEL, stream: true, prompt: 'a' }) }
    ],
    ['with an id of its own', { fields: ['X-Request-Id: mine.1'] }],
    ['with an id that is not kept', { fields: ['X-Request-Id: {mine}'] }],
    ['that wants its times', { fields: ['X-Sluice-Timing: 1'] }],
    ['of an allowed page', { fields: ['Origin: https://a.example'] }],
    ['of another page', { fields: ['Origin: https://b.example'] }],
    ['with trace context', { fields: ['traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'] }],
    ['with many fields', { fields: Array.from({ length: 90 }, (_, i) => `X-${i}: ${i}`) }],
    ['with keep-alive said', { fields: ['Connection: Keep-Alive'] }],
    ['with charset', { fields: ['Content-Type: application/json; charset=utf-8'] }],
    ['with spaces around its values', { fields: ['Content-Type:   application/json  ', 'Accept:*/*'] }]
  ])('%s is answered alike', async (_what, parts) => {
    const answer = await compare(send(parts))
    expect(status(answer)).toBe(200)
    expect(answer.toLowerCase()).toContain('x-request-id: ')
    expect(answer).toContain('HTTP/1.1 404')
  })

  it('cut in two at any byte is answered alike', async () => {
    const bytes = request({ fields: ['X-Request-Id: cut'] })
    const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1)
    for (let i = 0; i < cuts.length; i += 16) {
      const answers = cuts.slice(i, i + 16).map(async (cut) => {
        const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
        const [ours, nodes] = await Promise.all([
          exchangeRaw(own.address, { pieces }),
          exchangeRaw(node.address, { pieces })
        ])
        expect(plain(ours), `cut at ${cut}`).toBe(plain(nodes))
        expect(status(ours), `cut at ${cut}`).toBe(200)
      })
      await Promise.all(answers)
    }
  })

  it('byte by byte is answered alike', async () => {
    const pieces = [...request().toString('latin1')].map((byte) => Buffer.from(byte, 'latin1'))
    expect(status(await compare({ pieces }))).toBe(200)
  })

  it('after another on its connection is answered alike, whatever that was', async () => {
    const health = 'GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n'
    const whole = request({ body: JSON_BODY })
    for (const pieces of [
      [request(), request()],
      [request(), health],
      [health, request()],
      [whole, request(), whole]
    ]) {
      await compare({ pieces })
      await compare({ pieces: [Buffer.concat(pieces.map((piece) => Buffer.from(piece)))] })
    }
  })

  it('whose client says at once that nothing follows counts as given up alike', async () => {
    await compare({ ...send({}), ends: true })
  })
})

describe('a request that is refused', () => {
  it.each<[string, Parts, number]>([
    ['without a key', { fields: ['Authorization: none'] }, 401],
    ['with a key that nobody has', { fields: ['Authorization: Bearer sk-no'] }, 401],
    ['without a model', { body: '{}' }, 400],
    ['without a model, in the words of Messages', { line: 'POST /v1/messages HTTP/1.1', body: '{}' }, 400],
    [
      'that can’t be answered without a state',
      { line: 'POST /v1/responses HTTP/1.1', body: JSON.stringify({ model: MODEL, input: 'a', background: true }) },
      400
    ],
    ['for an unknown model', { body: '{"model":"none"}' }, 404],
    ['that is no JSON', { body: '{"model":' }, 400],
    ['with an empty body', { body: '', length: '0' }, 400],
    ['without a length', { length: '' }, 400],
    ['that is too large', { body: JSON.stringify({ model: 'x'.repeat(MAX_BODY) }) }, 413],
    ['of another type', { fields: ['Content-Type: text/plain'] }, 415],
    ['that is compressed', { fields: ['Content-Encoding: gzip'] }, 415],
    ['for another path', { line: 'POST /v1/embeddings HTTP/1.1' }, 404],
    ['by another method', { line: 'PUT /v1/chat/completions HTTP/1.1' }, 405],
    ['whose head is too large', { fields: [`X-Large: ${'x'.repeat(20_000)}`] }, 431]
  ])('%s is refused alike', async (_what, parts, expected) => {
    expect(status(await compare(send(parts)))).toBe(expected)
  })
})

describe('a request that is unusual, broken or malicious', () => {
  const smuggled = 'GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n'
  it.each<[string, Parts]>([
    ['a query', { line: 'POST /v1/chat/completions?a=b HTTP/1.1' }],
    ['an absolute target', { line: 'POST http://gateway/v1/chat/completions HTTP/1.1' }],
    ['HTTP/1.0', { line: 'POST /v1/chat/completions HTTP/1.0' }],
    ['HTTP/1.2', { line: 'POST /v1/chat/completions HTTP/1.2' }],
    ['HTTP/2.0', { line: 'POST /v1/chat/completions HTTP/2.0' }],
    ['a method in small letters', { line: 'post /v1/chat/completions HTTP/1.1' }],
    ['two spaces in its first line', { line: 'POST  /v1/chat/completions HTTP/1.1' }],
    ['empty lines before it', { line: '\r\n\r\nPOST /v1/chat/completions HTTP/1.1' }],
    ['Connection: close', { fields: ['Connection: close'] }],
    ['Connection: upgrade', { fields: ['Connection: upgrade', 'Upgrade: websocket'] }],
    ['Connection that names a field', { fields: ['Connection: keep-alive, authorization'] }],
    ['Expect: 100-continue', { fields: ['Expect: 100-continue'] }],
    ['another Expect', { fields: ['Expect: miracles'] }],
    ['TE', { fields: ['TE: trailers'] }],
    ['a chunked body', { fields: ['Transfer-Encoding: chunked'], length: '', body: `${BODY.length.toString(16)}\r\n` }],
    ['both lengths', { fields: ['Transfer-Encoding: chunked'], body: `0\r\n\r\n${smuggled}` }],
    ['a length and a hidden coding', { fields: ['Transfer-Encoding : chunked'], body: `0\r\n\r\n${smuggled}` }],
    ['an unknown coding', { fields: ['Transfer-Encoding: xchunked'], body: `0\r\n\r\n${smuggled}` }],
    ['two equal lengths', { fields: [`Content-Length: ${Buffer.byteLength(BODY)}`] }],
    ['two lengths', { fields: ['Content-Length: 5'] }],
    ['a list of lengths', { length: '5, 5' }],
    ['a signed length', { length: '+5' }],
    ['a negative length', { length: '-5' }],
    ['a length in hex', { length: '0x5' }],
    ['a length with a fraction', { length: '5.0' }],
    ['a length with a zero before it', { length: `0${Buffer.byteLength(BODY)}` }],
    ['a length with a tab', { length: `\t${Buffer.byteLength(BODY)}` }],
    ['a huge length', { length: '99999999999999999999' }],
    ['a length that is too short', { length: '5' }],
    ['a smuggled request after its body', { body: BODY + smuggled, length: String(Buffer.byteLength(BODY)) }],
    ['no Host', { fields: ['Hos: gateway'], line: 'POST /v1/chat/completions HTTP/1.1' }],
    ['two Hosts', { fields: ['Host: a', 'Host: b'] }],
    ['two keys', { fields: [`Authorization: Bearer ${KEY}`, 'Authorization: Bearer sk-no'] }],
    ['two ids', { fields: ['X-Request-Id: a', 'X-Request-Id: b'] }],
    ['a folded line', { fields: ['X-Folded: a\r\n b'] }],
    ['a folded length', { fields: ['X-A: b\r\n Content-Length: 5'] }],
    ['a space before a colon', { fields: ['X-Space : a'] }],
    ['a line without a colon', { fields: ['nonsense'] }],
    ['a line without a name', { fields: [': nameless'] }],
    ['a bare LF', { fields: ['X-A: b\nX-C: d'] }],
    ['a bare LF before a length', { fields: ['X-A: b\nContent-Length: 5'] }],
    ['a bare CR', { fields: ['X-A: b\rX-C: d'] }],
    ['a NUL', { fields: ['X-A: b\0c'] }],
    ['a byte of Latin-1', { fields: ['X-A: \u00e9'] }],
    ['a name with Unicode', { fields: ['X-\u0130: a'] }],
    ['a field __proto__', { fields: ['__proto__: a', 'constructor: b'] }],
    ['a thousand fields', { fields: Array.from({ length: 1000 }, (_, i) => `A: ${i}`) }]
  ])('%s is taken alike', async (_what, parts) => {
    await compare({ ...send(parts), quietMs: 400 })
  })

  it('line ends of LF alone are taken alike', async () => {
    const text = request().toString('latin1')
    await compare({ pieces: [Buffer.from(text.replaceAll('\r\n', '\n'), 'latin1')], quietMs: 400 })
    await compare({ pieces: [Buffer.from(text.replace('\r\n\r\n', '\n\n'), 'latin1')], quietMs: 400 })
    await compare({ pieces: [Buffer.from(text.replace('\r\n', '\n'), 'latin1')], quietMs: 400 })
  })

  it('a body that never comes whole is taken alike', async () => {
    const bytes = request()
    const most = bytes.subarray(0, -5)
    await compare({ pieces: [most], quietMs: 400 })
    await compare({ pieces: [most], ends: true })
    await compare({ pieces: [bytes.subarray(0, 60)], ends: true })
    await compare({ pieces: [], ends: true })
  })

  it('nonsense after a request is refused alike, once that is answered', async () => {
    for (const tail of ['\0\0\0', 'GET', 'nonsense\r\n\r\n']) {
      const answer = await exchangeRaw(own.address, { pieces: [Buffer.concat([request(), Buffer.from(tail)])] })
      expect(status(answer)).toBe(200)
      expect(answer).toContain('[DONE]')
      expect(answer).not.toContain('smuggled')
    }
  })
})
