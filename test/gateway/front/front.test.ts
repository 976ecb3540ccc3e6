// Who answers what: the front takes plain requests for tokens and nothing else, and closes what waits for too long.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { Principal, Sink } from '../../../gateway/call.ts'
import { type Front, installFront } from '../../../gateway/front/front.ts'
import { fakeCall } from '../../helpers/fakes.ts'
import { until } from '../../helpers/gateway.ts'

const PRINCIPAL: Principal = { keyId: 'k', maxOutputTokens: undefined, models: 'unrestricted' }
const KEEP_ALIVE_MS = 5_000

interface Lab {
  readonly server: Server
  readonly front: Front
  readonly port: number
  /** Bodies of the requests that the front took. */
  readonly taken: string[]
  /** Sinks that have not been answered, when they are not at once. */
  readonly sinks: Sink[]
  readonly broken: unknown[]
  serves: boolean
  answersAtOnce: boolean
  nowMs: number
}

const labs: Lab[] = []
afterEach(() => {
  for (const { server, front } of labs.splice(0)) {
    front.close()
    server.closeAllConnections()
    server.close()
  }
})

async function open({ stalledMs = 10_000 } = {}): Promise<Lab> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end('node'))
  })
  const lab = {
    server,
    taken: [],
    sinks: [],
    broken: [],
    serves: true,
    answersAtOnce: true,
    nowMs: 0
  } as unknown as Lab
  const front = installFront(
    server,
    { maxBodyBytes: 100_000, keepAliveMs: KEEP_ALIVE_MS, stalledMs },
    {
      now: () => lab.nowMs,
      date: () => 'NOW',
      serves: () => lab.serves,
      identify(bytes, start, end) {
        if (bytes.toString('latin1', start, end) !== 'Bearer good') throw new Error('who is it?')
        return PRINCIPAL
      },
      receive({ body }) {
        const text = body.toString()
        if (text.includes('refuse')) throw new Error('not this one')
        lab.taken.push(text)
        return { call: fakeCall(), headers: { 'x-request-id': 'r' } }
      },
      exchange(_call, sink) {
        if (lab.answersAtOnce) answer(sink)
        else lab.sinks.push(sink)
      },
      refuse: ({ code }, socket) => void socket.end(`refused: ${code}`),
      onBroken: (headers) => lab.broken.push(headers['x-request-id'])
    }
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  Object.assign(lab, { front, port: (server.address() as AddressInfo).port })
  labs.push(lab)
  return lab
}

function answer(sink: Sink): void {
  sink.head(200, { 'content-type': 'text/plain', 'content-length': '5' })
  sink.write(Buffer.from('front'))
  sink.end()
}

/** A client and all that it has read. */
function dial({ port }: Lab) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const client = { socket, text: '', closed: false }
  socket.on('data', (bytes) => (client.text += bytes.toString()))
  socket.on('end', () => socket.end())
  socket.on('close', () => (client.closed = true))
  socket.on('error', () => {})
  return client
}

const plain = (body = '{}', fields: readonly string[] = [], line = 'POST /v1/completions HTTP/1.1') =>
  [
    line,
    'Host: gateway',
    'Authorization: Bearer good',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...fields,
    '',
    body
  ].join('\r\n')

/** Who answered, in order. */
const answerers = (text: string) => text.match(/front|node|refused: \w+|HTTP\/1.1 4\d\d/g) ?? []

async function answersOf(lab: Lab, pieces: readonly string[], count: number): Promise<string[]> {
  const client = dial(lab)
  for (const piece of pieces) {
    client.socket.write(piece)
    await sleep(5)
  }
  await until('all answers are here', () => answerers(client.text).length >= count || client.closed, 2_000)
  client.socket.destroy()
  return answerers(client.text)
}

describe('a request', () => {
  it.each<[string, string]>([
    ['for a text completion', plain()],
    ['for a chat', plain('{}', [], 'POST /v1/chat/completions HTTP/1.1')],
    ['with fields of many kinds', plain('{}', ['Accept: */*', 'User-Agent: x/1 (y; z)', 'X-Sluice-Timing: 1'])],
    ['with keep-alive said', plain('{}', ['Connection: keep-alive'])]
  ])('%s is taken', async (_what, request) => {
    const lab = await open()
    expect(await answersOf(lab, [request], 1)).toEqual(['front'])
    expect(lab.taken).toEqual(['{}'])
  })

  it.each<[string, string]>([
    ['by another method', plain('{}', [], 'PUT /v1/completions HTTP/1.1')],
    ['for another path', plain('{}', [], 'POST /v1/models HTTP/1.1')],
    ['with a query', plain('{}', [], 'POST /v1/completions?x HTTP/1.1')],
    ['with an absolute target', plain('{}', [], 'POST http://gateway/v1/completions HTTP/1.1')],
    ['of HTTP/1.0', plain('{}', [], 'POST /v1/completions HTTP/1.0')],
    ['without a key', plain().replace('good', 'bad')],
    ['that can become no call', plain('{"refuse":1}')],
    ['of another type', plain().replace('application/json', 'text/plain')],
    ['without Host', plain().replace('Host', 'Hos')],
    ['without a length', plain('', []).replace('Content-Length', 'X')],
    ['with an empty body', plain('')],
    ['that is too large', plain('x'.repeat(100_001))],
    ['whose length has a zero before it', plain().replace('Length: 2', 'Length: 02')],
    ['with a second length', plain('{}', ['content-length: 2'])],
    ['with a coding', plain('0\r\n\r\n', ['Transfer-Encoding: chunked'])],
    ['with Expect', plain('{}', ['Expect: 100-continue'])],
    ['with TE', plain('{}', ['TE: trailers'])],
    ['with Connection: close', plain('{}', ['Connection: close'])],
    ['with an encoded body', plain('{}', ['Content-Encoding: gzip'])],
    ['with a field twice that is read here', plain('{}', ['X-Request-Id: 1', 'x-request-id: 1'])],
    ['with a folded line', plain('{}', ['X-A: 1\r\n 2'])],
    ['with a space before a colon', plain('{}', ['X-A : 1'])],
    ['with a bare LF', plain('{}', ['X-A: 1\nX-B: 2'])],
    ['with a tab in a value', plain('{}', ['X-A: 1\t2'])],
    ['with a byte above ASCII', plain('{}', ['X-A: é'])],
    ['with a gateway’s field that is not known here', plain('{}', ['X-Sluice-Other: 1'])],
    ['that resumes a stream', plain('{}', ['Last-Event-ID: 1'])],
    [
      'with very many fields',
      plain(
        '{}',
        Array.from({ length: 70 }, (_, i) => `X-${i}: 1`)
      )
    ],
    ['with a large head', plain('{}', [`X-A: ${'x'.repeat(9_000)}`])],
    ['after an empty line', `\r\n${plain()}`]
  ])('%s is left to Node', async (_what, request) => {
    const lab = await open()
    const [answerer] = await answersOf(lab, [request], 1)
    expect(answerer).toMatch(/node|HTTP\/1.1 4/)
    expect(lab.taken).toEqual([])
  })

  it('whose head comes in pieces is left to Node, one whose body does is taken', async () => {
    const lab = await open()
    const [head = '', body = ''] = plain('{"a":"b"}').split('\r\n\r\n')
    expect(await answersOf(lab, [head.slice(0, 40), `${head.slice(40)}\r\n\r\n${body}`], 1)).toEqual(['node'])
    expect(lab.taken).toEqual([])
    expect(await answersOf(lab, [`${head}\r\n\r\n`, body.slice(0, 4), body.slice(4)], 1)).toEqual(['front'])
    expect(lab.taken).toEqual(['{"a":"b"}'])
  })

  it('is left to Node while the gateway leaves', async () => {
    const lab = await open()
    lab.serves = false
    expect(await answersOf(lab, [plain()], 1)).toEqual(['node'])
  })
})

describe('a connection', () => {
  const other = 'GET / HTTP/1.1\r\nHost: gateway\r\n\r\n'

  it('carries plain requests one after the other, and stays with Node after another one', async () => {
    const lab = await open()
    expect(await answersOf(lab, [plain('1'), plain('2'), other, plain('3')], 4)).toEqual([
      'front',
      'front',
      'node',
      'node'
    ])
    expect(lab.taken).toEqual(['1', '2'])
  })

  it('whose client sends everything at once is answered in order', async () => {
    const lab = await open()
    expect(await answersOf(lab, [plain('1') + plain('2') + other + plain('3')], 4)).toEqual([
      'front',
      'front',
      'node',
      'node'
    ])
  })

  it('becomes another protocol through Node, with what was sent right behind the request', async () => {
    const lab = await open()
    lab.server.on('upgrade', (_request, socket, head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.write(head)
      socket.on('data', (bytes: Buffer) => socket.write(bytes))
    })
    const client = dial(lab)
    client.socket.write(plain())
    await until('it is answered', () => client.text.endsWith('front'))
    client.socket.write('GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhead ')
    await until('it is another protocol', () => client.text.endsWith('\r\n\r\nhead '))
    client.socket.write('more')
    await until('it echoes', () => client.text.endsWith('head more'))
    client.socket.destroy()
  })

  it('whose client sends far ahead is not read on until its answer has ended', async () => {
    const lab = await open()
    lab.answersAtOnce = false
    const client = dial(lab)
    client.socket.write(plain('first'))
    await until('it is taken', () => lab.sinks.length === 1)
    const bodies = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(90_000, 'x'))
    client.socket.write(bodies.map((body) => plain(body)).join(''))
    await sleep(50)
    expect(client.socket.writableLength).toBeGreaterThan(0)
    lab.answersAtOnce = true
    for (const sink of lab.sinks) answer(sink)
    // a head that straddles two reads makes Node answer the rest
    await until('all are answered', () => answerers(client.text).length === 101)
    expect(answerers(client.text).filter((answerer) => answerer !== 'front' && answerer !== 'node')).toEqual([])
    expect(lab.taken.slice(1)).toEqual(bodies.slice(0, lab.taken.length - 1))
    client.socket.destroy()
  })

  it('whose client sends requests and reads no answer is not answered on and on', async () => {
    const lab = await open()
    lab.answersAtOnce = false
    const sockets: Socket[] = []
    lab.server.on('connection', (socket: Socket) => sockets.push(socket))
    const answerAll = () => {
      for (const sink of lab.sinks.splice(0)) {
        sink.head(200, { 'content-type': 'text/plain', 'content-length': '100005' })
        sink.write(Buffer.from('front'.padEnd(100_005)))
        sink.end()
      }
      return sockets[0]?.writableLength ?? 0
    }
    const client = dial(lab)
    client.socket.pause()
    client.socket.write(plain().repeat(200))
    let mostBytes = 0
    for (let turns = 0; turns < 1_000; turns++) {
      mostBytes = Math.max(mostBytes, answerAll())
      await turn()
    }
    expect(lab.taken.length).toBeGreaterThan(0)
    expect(mostBytes).toBeLessThan(1_000_000)
    client.socket.resume()
    await until('all are answered', () => answerAll() === 0 && client.text.length >= 200 * 100_005)
    expect(answerers(client.text)).toHaveLength(200)
    client.socket.destroy()
  })

  it('that closes while it is answered is told of; one that closes in the middle of a body is reported', async () => {
    const lab = await open()
    lab.answersAtOnce = false
    const client = dial(lab)
    client.socket.write(plain())
    await until('it is taken', () => lab.sinks.length === 1)
    const gone = new Promise<string>((resolve) => lab.sinks[0]?.onGone(() => resolve('gone')))
    client.socket.destroy()
    expect(await gone).toBe('gone')
    const half = dial(lab)
    half.socket.write(plain('{}', ['X-Request-Id: half']).slice(0, -1))
    await sleep(20)
    half.socket.destroy()
    await until('it is reported', () => lab.broken.length > 0)
    expect(lab.broken).toEqual(['half'])
  })

  it('that half closes is taken for one that leaves, as Node does', async () => {
    const lab = await open()
    lab.answersAtOnce = false
    const client = dial(lab)
    client.socket.write(plain())
    await until('it is taken', () => lab.sinks.length === 1)
    const gone = new Promise<string>((resolve) => lab.sinks[0]?.onGone(() => resolve('gone')))
    client.socket.end()
    expect(await gone).toBe('gone')
    await until('it is closed', () => client.closed)
  })

  it('counts as open until its answer has left', async () => {
    const lab = await open()
    lab.answersAtOnce = false
    const client = dial(lab)
    client.socket.pause()
    client.socket.write(plain())
    await until('it is taken', () => lab.sinks.length === 1)
    expect(lab.front.openResponses()).toBe(1)
    const [sink] = lab.sinks
    sink?.head(200, { 'content-type': 'text/event-stream' })
    sink?.write(Buffer.alloc(20_000_000))
    sink?.end()
    lab.front.closeIdle()
    expect(lab.front.openResponses()).toBe(1)
    client.socket.resume()
    await until('it has left', () => lab.front.openResponses() === 0)
    expect(client.closed).toBe(false)
    lab.front.closeIdle()
    await until('it is closed', () => client.closed)
  })
})

describe('a reader that is slow with the end of an answer', () => {
  const LARGE = 20_000_000

  /** A client that reads nothing of an answer that has ended. */
  async function stall(stalledMs: number) {
    const lab = await open({ stalledMs })
    lab.answersAtOnce = false
    const client = dial(lab)
    client.socket.pause()
    client.socket.write(plain())
    await until('it is taken', () => lab.sinks.length === 1)
    const sink = lab.sinks.pop()
    sink?.head(200, { 'content-type': 'text/event-stream' })
    sink?.write(Buffer.alloc(LARGE))
    sink?.end()
    return { lab, client }
  }

  it('is cut off when it takes nothing for too long', async () => {
    const { lab, client } = await stall(100)
    await until('its answer is given up', () => lab.front.openResponses() === 0)
    client.socket.resume()
    await until('it is cut off', () => client.closed)
    expect(client.text.length).toBeLessThan(LARGE)
  })

  it('keeps its connection when it goes on, for a silence that is longer', async () => {
    const { lab, client } = await stall(300)
    client.socket.resume()
    await until('it has all', () => client.text.length > LARGE && lab.front.openResponses() === 0)
    await sleep(500)
    client.socket.write(plain('next'))
    await until('the next one is taken', () => lab.sinks.length === 1)
    await sleep(500)
    expect([client.closed, lab.taken.at(-1)]).toEqual([false, 'next'])
    client.socket.destroy()
  })
})

describe('a connection that waits for too long', () => {
  /** Lets the front's clock go on, and its sweep come by. */
  async function wait(lab: Lab, ms: number): Promise<void> {
    lab.nowMs += ms
    await sleep(1_200)
  }

  it('for its next request is closed after the time that was promised, not before', async () => {
    const lab = await open()
    const client = dial(lab)
    client.socket.write(plain())
    await until('it is answered', () => client.text.endsWith('front'))
    expect(client.text).toContain('Keep-Alive: timeout=5\r\n')
    await wait(lab, KEEP_ALIVE_MS)
    expect(client.closed).toBe(false)
    await wait(lab, 1_001)
    expect([client.closed, client.text.endsWith('front')]).toEqual([true, true])
  })

  it('for its first request, or for the rest of a body, is refused by the limits of Node’s server', async () => {
    const lab = await open()
    lab.server.headersTimeout = 2_000
    lab.server.requestTimeout = 3_000
    const [silent, half, answered] = [dial(lab), dial(lab), dial(lab)]
    half.socket.write(plain('{"a":1}').slice(0, -3))
    lab.answersAtOnce = false
    answered.socket.write(plain())
    await until('one is taken', () => lab.sinks.length === 1)
    await wait(lab, 2_001)
    expect([silent.text, half.text]).toEqual(['refused: ERR_HTTP_REQUEST_TIMEOUT', ''])
    await wait(lab, 1_000)
    expect([half.text, answered.closed]).toEqual(['refused: ERR_HTTP_REQUEST_TIMEOUT', false])
  })
})
