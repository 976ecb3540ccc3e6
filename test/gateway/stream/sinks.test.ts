// The HTTP sink over real sockets: readers that leave, stall or stay, and what each gets of a failure.
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../../gateway/errors.ts'
import { HttpSink } from '../../../gateway/stream/sinks.ts'
import { HEARTBEAT, SSE_HEADERS } from '../../../gateway/stream/sse.ts'
import { until } from '../../helpers/gateway.ts'

const servers: Server[] = []
/** The server's side of the connections, the newest last. */
const sockets: Socket[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A server that makes a sink of each response, and hands the sinks over in the order of their requests. */
async function serve(stalledMs = 10_000) {
  const sinks: HttpSink[] = []
  const waiting: ((sink: HttpSink) => void)[] = []
  const server = createServer((_request, response) => {
    const sink = new HttpSink(response, { headers: { 'x-request-id': 'r1' }, stalledMs })
    const waiter = waiting.shift()
    if (waiter === undefined) sinks.push(sink)
    else waiter(sink)
  }).listen(0, '127.0.0.1')
  server.on('connection', (socket) => sockets.push(socket))
  servers.push(server)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const next = () =>
    new Promise<HttpSink>((resolve) => {
      const sink = sinks.shift()
      if (sink === undefined) waiting.push(resolve)
      else resolve(sink)
    })
  return { port, next }
}

/** One request and its sink. */
async function open(stalledMs?: number) {
  const { port, next } = await serve(stalledMs)
  const client = request({ port, host: '127.0.0.1', method: 'POST', agent: false })
  client.on('error', () => {})
  const answer = once(client, 'response').then(([response]) => response as IncomingMessage)
  answer.catch(() => {})
  client.end('{}')
  return { client, answer, sink: await next() }
}

/** Resolves to whether the body arrived whole. */
function read(answer: Promise<IncomingMessage>): Promise<string> {
  return answer.then(text).catch(() => '(broken off)')
}

const goneOf = (sink: HttpSink) => new Promise<string>((resolve) => sink.onGone(() => resolve('gone')))
const within = (ms: number, otherwise: string) =>
  new Promise<string>((resolve) => setTimeout(() => resolve(otherwise), ms))

describe('an answer', () => {
  it('reaches the reader with the headers of the sink and of its head', async () => {
    const { sink, answer } = await open()
    sink.head(200, { 'content-type': 'application/json' })
    sink.write(Buffer.from('{}'))
    sink.end()
    const { headers } = await answer
    expect([headers['x-request-id'], headers['content-type'], await read(answer)]).toEqual([
      'r1',
      'application/json',
      '{}'
    ])
  })

  it('that is streamed has its head at the reader before its first byte', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    expect((await answer).headers['content-type']).toBe('text/event-stream')
  })

  it('is ended by its end, and not by a write of nothing; then it takes no more', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    for (const piece of ['a', '', 'b']) sink.write(Buffer.from(piece))
    sink.end()
    sink.write(Buffer.from('late'))
    sink.fail(new GatewayError('internal_error'))
    expect([sink.gone, await read(answer)]).toEqual([true, 'ab'])
  })
})

describe('a reader that leaves', () => {
  it('before the head is told of', async () => {
    const { sink, client } = await open()
    const gone = goneOf(sink)
    client.destroy()
    expect([await gone, sink.gone]).toEqual(['gone', true])
  })

  it('in the middle of a stream is told of', async () => {
    const { sink, client, answer } = await open()
    const gone = goneOf(sink)
    sink.head(200, SSE_HEADERS)
    await answer
    client.destroy()
    expect(await gone).toBe('gone')
  })

  it('while its socket is full is told of', async () => {
    const { sink, client, answer } = await open()
    const gone = goneOf(sink)
    sink.head(200, SSE_HEADERS)
    while (sink.write(Buffer.alloc(65_536)));
    ;(await answer).pause()
    client.destroy()
    expect(await gone).toBe('gone')
  })

  it('is told of to the newest listener only', async () => {
    const { sink, client } = await open()
    const heard: string[] = []
    sink.onGone(() => heard.push('old'))
    const gone = new Promise<void>((resolve) => sink.onGone(() => resolve(void heard.push('new'))))
    client.destroy()
    await gone
    expect(heard).toEqual(['new'])
  })

  it('after the end is not told of', async () => {
    const { sink, client, answer } = await open()
    const gone = goneOf(sink)
    sink.head(200, SSE_HEADERS)
    sink.end()
    await read(answer)
    client.destroy()
    expect(await Promise.race([gone, within(50, 'nothing')])).toBe('nothing')
  })

  it('takes writes without harm afterwards', async () => {
    const { sink, client } = await open()
    const gone = goneOf(sink)
    client.destroy()
    await gone
    sink.fail(new GatewayError('upstream_error'))
    expect(sink.write(Buffer.from('x'))).toBe(true)
  })

  it('is told of for each request that it sent ahead on one connection', async () => {
    const { port, next } = await serve()
    const socket = connect(port, '127.0.0.1')
    const one = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'
    socket.write(one + one)
    const [first, second] = [await next(), await next()]
    const gone = Promise.all([goneOf(first), goneOf(second)]).then(String)
    first.head(200, SSE_HEADERS)
    second.head(200, SSE_HEADERS)
    socket.destroy()
    expect(await Promise.race([gone, within(20_000, 'one was not told')])).toBe('gone,gone')
  })
})

describe('a slow reader', () => {
  it.each(['text/event-stream', 'application/json'])('of %s is told of each time that it took all', async (type) => {
    const [{ sink, answer }, heard] = [await open(), [] as string[]]
    sink.head(200, { 'content-type': type })
    for (const round of ['first', 'second']) {
      const drained = new Promise<string>((resolve) => sink.onDrain(() => resolve(round)))
      while (sink.write(Buffer.alloc(65_536)));
      sink.write(HEARTBEAT)
      ;(await answer).resume()
      heard.push(await drained)
    }
    expect([heard, sockets.at(-1)?.listenerCount('drain')]).toEqual([['first', 'second'], 1])
  })

  it('that takes nothing more after the end is cut off', async () => {
    const { sink, answer } = await open(100)
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.alloc(30_000_000))
    sink.end()
    const response = await answer
    await until('it is given up', () => sockets.at(-1)?.destroyed === true)
    expect(await read(Promise.resolve(response))).toBe('(broken off)')
  })

  it('that goes on after the end gets everything', async () => {
    const { sink, answer } = await open(20_000)
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.alloc(3_000_000, 'x'))
    sink.end()
    const response = await answer
    await within(20, '')
    expect(await read(Promise.resolve(response))).toHaveLength(3_000_000)
  })
})

describe('frames', () => {
  it('and bytes arrive in the order in which they were given', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.from('data: a\n\n'))
    sink.writeFrames?.(Buffer.from('9\r\ndata: b\n\n\r\n9\r\ndata: c\n\n\r\n'))
    sink.write(Buffer.from('data: d\n\n'))
    sink.end()
    expect(await read(answer)).toBe('data: a\n\ndata: b\n\ndata: c\n\ndata: d\n\n')
  })

  it('are not taken for an answer that is no event stream', async () => {
    const { sink } = await open()
    sink.head(200, { 'content-type': 'application/json' })
    expect(sink.writeFrames).toBeUndefined()
  })

  it('that wait for their socket are its own: the memory that they came in may be used again', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    const lent = Buffer.alloc(65_536, 'a')
    while (sink.write(lent));
    const frames = Buffer.from(`3\r\nxyz\r\n`)
    sink.writeFrames?.(frames)
    lent.fill('!')
    frames.fill('!')
    sink.end()
    expect(await read(answer)).toMatch(/^a+xyz$/)
  })

  it('leave nothing on a connection that is used again', async () => {
    const { port, next } = await serve()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const listeners: number[] = []
    for (let i = 0; i < 3; i++) {
      const client = request({ port, host: '127.0.0.1', agent })
      const answer = once(client, 'response').then(([response]) => response as IncomingMessage)
      client.end()
      const sink = await next()
      sink.head(200, SSE_HEADERS)
      listeners.push(sockets.at(-1)?.listenerCount('drain') ?? -1)
      sink.end()
      await read(answer)
    }
    agent.destroy()
    expect(new Set(listeners).size).toBe(1)
  })
})

describe('a failure', () => {
  const failure = new GatewayError('queue_full')
  const body = { error: { code: 'queue_full', type: 'rate_limit_error', param: null, message: failure.message } }

  it('before the head is a status and JSON', async () => {
    const { sink, answer } = await open()
    sink.fail(failure)
    expect([(await answer).statusCode, JSON.parse(await read(answer))]).toEqual([429, body])
  })

  it('before the head says when to come back', async () => {
    const { sink, answer } = await open()
    sink.fail(failure)
    expect((await answer).headers['retry-after']).toBe('2')
  })

  it('in a stream is an event, and [DONE] after it', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.from('data: {}\n\n'))
    sink.fail(failure)
    const error = { message: failure.message, type: 'rate_limit_error', param: null, code: 'queue_full' }
    expect(await read(answer)).toBe(`data: {}\n\ndata: ${JSON.stringify({ error })}\n\ndata: [DONE]\n\n`)
  })

  it('in half an answer of JSON breaks the connection', async () => {
    const { sink, answer } = await open()
    sink.head(200, { 'content-type': 'application/json' })
    sink.write(Buffer.from('{"half":'))
    const reading = read(answer)
    sink.fail(failure)
    expect(await reading).toBe('(broken off)')
  })

  it('for a reader that was given up breaks the connection', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    while (sink.write(Buffer.alloc(65_536)));
    sink.fail(new GatewayError('slow_reader'))
    expect(await read(answer)).toBe('(broken off)')
  })

  it('reaches a slow reader behind what it has not read yet', async () => {
    const { sink, answer } = await open()
    sink.head(200, SSE_HEADERS)
    while (sink.write(Buffer.alloc(65_536)));
    sink.fail(failure)
    expect(await read(answer)).toMatch(/"error":.*\n\ndata: \[DONE\]\n\n/s)
  })
})
