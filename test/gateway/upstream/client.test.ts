// The client of engines against real servers on loopback.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../../gateway/upstream/client.ts'
import { leaseOf, RecordingHandler, serveBytes, serveEngine } from '../../helpers/engine-server.ts'
import { fakeCall } from '../../helpers/fakes.ts'

const clients: ReturnType<typeof createClient>[] = []
afterEach(() => Promise.all(clients.splice(0).map((client) => client.destroy())))

function create() {
  const client = createClient({ connectMs: 20_000, poolIdleMs: 5_000 })
  clients.push(client)
  return client
}

const answerJson = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')

async function ask(origin: string, call = fakeCall({ stream: false }), engineKey?: string) {
  const handler = new RecordingHandler()
  create().open(leaseOf(origin, engineKey), call, handler)
  const over = await handler.over
  return { handler, over }
}

describe('a request', () => {
  it('carries the body to the byte', async () => {
    await using engine = await serveEngine(answerJson)
    await ask(
      engine.origin,
      fakeCall({ body: { type: 'application/json', bytes: Buffer.from('{"prompt":"猫","id":12345678901234567890}') } })
    )
    expect(engine.requests.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/v1/chat/completions', '{"prompt":"猫","id":12345678901234567890}']
    ])
  })

  it.each([
    [true, 'text/event-stream'],
    [false, 'application/json']
  ])('with stream: %s accepts %s', async (stream, accept) => {
    await using engine = await serveEngine(answerJson)
    await ask(engine.origin, fakeCall({ stream }))
    expect(engine.requests[0]?.headers).toMatchObject({ accept, 'content-type': 'application/json' })
  })

  it('carries its id and the headers of the call', async () => {
    await using engine = await serveEngine(answerJson)
    await ask(engine.origin, fakeCall({ id: 'req_7', headers: { traceparent: '00-1-2-01' } }))
    expect(engine.requests[0]?.headers).toMatchObject({ 'x-request-id': 'req_7', traceparent: '00-1-2-01' })
  })

  it('carries the key of the engine', async () => {
    await using engine = await serveEngine(answerJson)
    await ask(engine.origin, fakeCall(), 'engine-key')
    expect(engine.requests[0]?.headers.authorization).toBe('Bearer engine-key')
  })

  it('carries no credential where the engine has no key', async () => {
    await using engine = await serveEngine(answerJson)
    await ask(engine.origin)
    expect(Object.keys(engine.requests[0]?.headers ?? {})).not.toContain('authorization')
  })
})

describe('an answer', () => {
  it('is told in its parts', async () => {
    await using engine = await serveEngine(answerJson)
    const { handler, over } = await ask(engine.origin)
    expect([handler.status, handler.headers['content-type'], handler.text, over]).toEqual([
      200,
      'application/json',
      '{"ok":true}',
      'end'
    ])
  })

  it('with another status is told as an answer', async () => {
    await using engine = await serveEngine((response) => response.writeHead(503).end('busy'))
    const { handler, over } = await ask(engine.origin)
    expect([handler.status, handler.text, over]).toEqual([503, 'busy', 'end'])
  })

  it('with an informational head before it has one head', async () => {
    await using engine = await serveEngine((response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' })
      answerJson(response)
    })
    expect((await ask(engine.origin)).handler.status).toBe(200)
  })

  it('that breaks off is an error', async () => {
    await using engine = await serveEngine((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: a\n\n', () => response.destroy())
    })
    const { handler, over } = await ask(engine.origin, fakeCall())
    expect([handler.text, over]).not.toEqual(['data: a\n\n', 'end'])
  })

  it('that is no HTTP is an error', async () => {
    await using engine = await serveBytes((socket) => socket.end('SSH-2.0-OpenSSH\r\n'))
    const { handler, over } = await ask(engine.origin)
    expect([handler.status, over === 'end']).toEqual([undefined, false])
  })

  it.each([true, false])('of a call with stream: %s leaves its connection for the next one', async (stream) => {
    await using engine = await serveEngine((response) => {
      response.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
      response.end('data: {}\n\n')
    })
    const client = create()
    for (let i = 0; i < 3; i++) {
      const handler = new RecordingHandler()
      client.open(leaseOf(engine.origin), fakeCall({ stream }), handler)
      await handler.over
      // the connection is free again once the answer's end has been handled
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(engine.connections()).toBe(1)
  })
})

describe('a head', () => {
  it.each([
    [30_000, 'end', 200],
    [33_000, 'Headers Overflow Error', undefined]
  ])('of %i bytes is taken as the other way takes it', async (bytes, how, status) => {
    await using engine = await serveEngine((response) => {
      response.writeHead(200, { 'x-large': 'x'.repeat(bytes) }).end()
    })
    const { handler, over } = await ask(engine.origin)
    expect([over, handler.status]).toEqual([how, status])
  })
})

describe('an engine that can not be reached', () => {
  it.each([true, false])('is an error of a call with stream: %s', async (stream) => {
    const gone = await serveEngine(answerJson)
    await gone[Symbol.asyncDispose]()
    const { handler, over } = await ask(gone.origin, fakeCall({ stream }))
    expect([handler.status, over]).toEqual([undefined, expect.stringContaining('ECONNREFUSED')])
  })
})

describe('an abort', () => {
  it.each([true, false])('closes the socket of a call with stream: %s while the engine works', async (stream) => {
    const closed = Promise.withResolvers<string>()
    const working = Promise.withResolvers<void>()
    await using engine = await serveEngine((response) => {
      response.on('close', () => closed.resolve('closed'))
      working.resolve()
    })
    const handler = new RecordingHandler()
    create().open(leaseOf(engine.origin), fakeCall({ stream }), handler)
    await working.promise
    handler.control?.abort(new Error('enough'))
    expect(await closed.promise).toBe('closed')
  })

  it('closes the socket in the middle of a stream', async () => {
    const closed = Promise.withResolvers<string>()
    await using engine = await serveEngine((response) => {
      response.on('close', () => closed.resolve('closed'))
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: a\n\n')
    })
    const handler = new RecordingHandler()
    create().open(leaseOf(engine.origin), fakeCall(), handler)
    await handler.answered
    handler.control?.abort(new Error('enough'))
    expect(await closed.promise).toBe('closed')
  })

  it('closes the socket of a paused stream', async () => {
    const closed = Promise.withResolvers<string>()
    await using engine = await serveEngine((response) => {
      response.on('close', () => closed.resolve('closed'))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(Buffer.alloc(8_000_000, 'x'))
    })
    const handler = new RecordingHandler()
    create().open(leaseOf(engine.origin), fakeCall(), handler)
    await handler.answered
    handler.control?.pause()
    handler.control?.abort(new Error('enough'))
    expect(await closed.promise).toBe('closed')
  })
})

describe('a pause', () => {
  it('holds the engine back until it is resumed, and nothing is lost', async () => {
    let written: ServerResponse | undefined
    await using engine = await serveEngine((response) => {
      written = response
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(Buffer.alloc(20_000_000, 'x'))
    })
    const handler = new RecordingHandler()
    const client = create()
    const paused = Promise.withResolvers<void>()
    const original = handler.onData.bind(handler)
    handler.onData = (...data) => {
      original(...data)
      handler.control?.pause()
      paused.resolve()
    }
    client.open(leaseOf(engine.origin), fakeCall(), handler)
    await paused.promise
    await new Promise((resolve) => setTimeout(resolve, 50))
    const unfinished = written?.writableFinished
    handler.onData = original
    handler.control?.resume()
    expect([unfinished, await handler.over, handler.text.length]).toEqual([false, 'end', 20_000_000])
  })
})

describe('a probe', () => {
  it.each([
    [200, undefined],
    [503, '/health answered 503']
  ])('of an engine that answers %i says: %s', async (status, failure) => {
    await using engine = await serveEngine((response) => response.writeHead(status).end())
    expect(await create().probe(leaseOf(engine.origin).endpoint, 20_000)).toBe(failure)
  })

  it('asks the health route', async () => {
    await using engine = await serveEngine((response) => response.end())
    await create().probe(leaseOf(engine.origin).endpoint, 20_000)
    expect(engine.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /health'])
  })

  it('of an engine that does not answer in time says so', async () => {
    await using engine = await serveEngine(() => {})
    expect(await create().probe(leaseOf(engine.origin).endpoint, 50)).toBe('/health did not answer within 50 ms')
  })

  it('of an engine that is not there says what the system says', async () => {
    expect(await create().probe(leaseOf('http://127.0.0.1:1').endpoint, 20_000)).toBe(
      'connect ECONNREFUSED 127.0.0.1:1'
    )
  })
})

describe('an engine that is forgotten', () => {
  it('ends its open answer in peace', async () => {
    let written: ServerResponse | undefined
    await using engine = await serveEngine((response) => {
      written = response
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: a\n\n')
    })
    const [client, handler, lease] = [create(), new RecordingHandler(), leaseOf(engine.origin)]
    client.open(lease, fakeCall(), handler)
    await handler.answered
    client.forget(lease.endpoint)
    written?.end('data: b\n\n')
    expect([await handler.over, handler.text]).toEqual(['end', 'data: a\n\ndata: b\n\n'])
  })

  it('has its idle connections closed', async () => {
    const closed = Promise.withResolvers<string>()
    await using engine = await serveEngine((response) => {
      response.socket && once(response.socket, 'close').then(() => closed.resolve('closed'))
      answerJson(response)
    })
    const [client, handler, lease] = [create(), new RecordingHandler(), leaseOf(engine.origin)]
    client.open(lease, fakeCall({ stream: false }), handler)
    await handler.over
    client.forget(lease.endpoint)
    expect(await closed.promise).toBe('closed')
  })
})
