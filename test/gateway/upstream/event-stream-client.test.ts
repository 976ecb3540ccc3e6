// The fast way upstream: its memory is lent, its connections are used again, and what it can't read goes another way.
import type { Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { EngineHandler } from '../../../gateway/call.ts'
import { createEventStreamClient } from '../../../gateway/upstream/event-stream-client.ts'
import { leaseOf, RecordingHandler, serveBytes, serveEngine } from '../../helpers/engine-server.ts'
import { fakeCall } from '../../helpers/fakes.ts'

const clients: ReturnType<typeof createEventStreamClient>[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})

function create(fallBack: (handler: EngineHandler) => void = () => {}, poolIdleMs = 5_000) {
  const client = createEventStreamClient(
    { connectMs: 20_000, poolIdleMs },
    { fallBack: (_lease, _call, handler) => fallBack(handler) }
  )
  clients.push(client)
  return client
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunkOf = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

/** What the other end of a connection has sent is in this process already: it is read by then. */
async function untilRead(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await turn()
}

describe('a connection', () => {
  it('that is used many times listens no more than at first', async () => {
    const warnings: string[] = []
    const hear = (warning: Error) => warnings.push(warning.name)
    process.on('warning', hear)
    await using engine = await serveEngine((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
      response.end()
    })
    const client = create()
    for (let i = 0; i < 20; i++) {
      const handler = new RecordingHandler()
      client.open(leaseOf(engine.origin), fakeCall(), handler)
      await handler.over
      await turn()
    }
    await turn()
    process.off('warning', hear)
    expect([engine.connections(), warnings]).toEqual([1, []])
  })

  it('that was idle for too long is not used again, not even in the moment in which it closes', async () => {
    await using engine = await serveEngine((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
      response.end()
    })
    const client = create(undefined, 50)
    const [first, second] = [new RecordingHandler(), new RecordingHandler()]
    first.onEnd = () => {
      setTimeout(() => client.open(leaseOf(engine.origin), fakeCall(), second), 50)
    }
    client.open(leaseOf(engine.origin), fakeCall(), first)
    expect(await second.over).toBe('end')
  })

  it('whose engine has answered without taking the whole request is not used again', async () => {
    let asked = 0
    await using engine = await serveBytes((socket) => {
      asked++
      socket.pause()
      socket.write(`${HEAD}${chunkOf('early')}0\r\n\r\n`)
    })
    const client = create()
    for (let i = 1; i <= 2; i++) {
      const handler = new RecordingHandler()
      const body = { type: 'application/json', bytes: Buffer.alloc(30_000_000, ' ') }
      client.open(leaseOf(engine.origin), fakeCall({ body }), handler)
      expect([await handler.over, handler.text, asked]).toEqual(['end', 'early', i])
      await turn()
    }
  })

  it('that its engine closed is not used again', async () => {
    let closed = Promise.withResolvers<void>()
    await using engine = await serveEngine((response) => {
      // a response lets go of its socket at its end
      const { socket } = response
      socket?.once('close', closed.resolve)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end('data: {}\n\n', () => setImmediate(() => socket?.destroy()))
    })
    const client = create()
    const overs: string[] = []
    for (let i = 0; i < 3; i++) {
      closed = Promise.withResolvers()
      const handler = new RecordingHandler()
      client.open(leaseOf(engine.origin), fakeCall(), handler)
      overs.push(await handler.over)
      await closed.promise
      await untilRead()
    }
    expect(overs).toEqual(['end', 'end', 'end'])
  })
})

describe('an answer that is not read here', () => {
  it.each([
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n'],
    ['both lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
    ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['no length', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n'],
    ['an informational head', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n\r\n']
  ])('for its %s goes another way, untold', async (_what, bytes) => {
    await using engine = await serveBytes((socket) => socket.write(bytes))
    const fallen = Promise.withResolvers<EngineHandler>()
    const handler = new RecordingHandler()
    create(fallen.resolve).open(leaseOf(engine.origin), fakeCall(), handler)
    expect([await fallen.promise, handler.status]).toEqual([handler, undefined])
  })

  it.each([
    ['extensions of its chunks', '5;ext=1\r\nhello\r\n0\r\n\r\n'],
    ['trailers', `${chunkOf('hello')}0\r\nA: b\r\n\r\n`]
  ])('for its %s is an error once its head was told, and the next one goes another way', async (_what, body) => {
    await using engine = await serveBytes((socket) => socket.write(HEAD + body))
    const fallen = Promise.withResolvers<EngineHandler>()
    const [first, second] = [new RecordingHandler(), new RecordingHandler()]
    const client = create(fallen.resolve)
    client.open(leaseOf(engine.origin), fakeCall(), first)
    expect(await first.over).toContain('refused')
    client.open(leaseOf(engine.origin), fakeCall(), second)
    expect(await fallen.promise).toBe(second)
  })

  it('is none of those that an engine sends on an idle connection, which is not used again', async () => {
    let giveUp = async () => {}
    const sockets = new Set<Socket>()
    await using engine = await serveBytes((socket) => {
      sockets.add(socket)
      socket.write(`${HEAD}${chunkOf('hello')}0\r\n\r\n`)
      giveUp = () => new Promise((sent) => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n', () => sent()))
    })
    const client = create(() => expect.unreachable('went another way'))
    for (let i = 0; i < 2; i++) {
      const handler = new RecordingHandler()
      client.open(leaseOf(engine.origin), fakeCall(), handler)
      expect(await handler.over).toBe('end')
      await giveUp()
      await untilRead()
    }
    expect(sockets.size).toBe(2)
  })
})

describe('a handler that throws', () => {
  it.each(['the first read', 'a later one'])('at %s loses its own exchange, and nothing else', async (read) => {
    await using engine = await serveBytes(async (socket) => {
      const chunks = [chunkOf('good'), chunkOf('bad') + chunkOf('late')]
      if (read === 'the first read') socket.write(HEAD + chunks.join(''))
      else
        for (const bytes of [HEAD + chunkOf('first'), ...chunks]) {
          socket.write(bytes)
          await sleep(20)
        }
    })
    const client = create()
    const handler = new RecordingHandler()
    const ends: string[] = []
    handler.onReadEnd = () => void ends.push(handler.text)
    const tell = handler.onData.bind(handler)
    handler.onData = (bytes, start = 0, end = bytes.length) => {
      if (bytes.toString('latin1', start, end) === 'bad') throw new Error('stumbled')
      tell(bytes, start, end)
    }
    client.open(leaseOf(engine.origin), fakeCall(), handler)
    expect(await handler.over).toContain('stumbled')
    // what came before it was told to its end while its bytes were there
    expect([ends.at(-1), handler.text]).toEqual(
      read === 'the first read' ? ['good', 'good'] : ['firstgood', 'firstgood']
    )
  })
})

describe('an answer in pieces', () => {
  const events = ['data: {"a":"猫"}\n\n', `data: ${'x'.repeat(300)}\n\n`, 'data: [DONE]\n\n']
  const bytes = Buffer.from(`${HEAD}${events.map(chunkOf).join('')}0\r\n\r\n`)

  it.each([1, 2, 3, 7, 64])('of %i bytes is told to the byte', async (size) => {
    await using engine = await serveBytes(async (socket) => {
      socket.setNoDelay(true)
      for (let at = 0; at < bytes.length; at += size) {
        socket.write(bytes.subarray(at, at + size))
        if (size > 2) await turn()
      }
    })
    const handler = new RecordingHandler()
    create().open(leaseOf(engine.origin), fakeCall(), handler)
    expect([await handler.over, handler.text]).toEqual(['end', events.join('')])
  })
})
