// Which connections undici's client uses for the next request, and which answers of theirs tell that nothing was asked.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../../gateway/upstream/client.ts'
import { leaseOf, RecordingHandler, serveBytes } from '../../helpers/engine-server.ts'
import { fakeCall } from '../../helpers/fakes.ts'

const clients: ReturnType<typeof createClient>[] = []
afterEach(() => Promise.all(clients.splice(0).map((client) => client.destroy())))

function create(connectMs = 20_000) {
  const client = createClient({ connectMs, poolIdleMs: 5_000 })
  clients.push(client)
  return client
}

/** Sends a request, and once it is answered another one, whose end it tells. */
async function askTwice(origin: string): Promise<string> {
  const client = create()
  const [first, next] = [new RecordingHandler(), new RecordingHandler()]
  client.open(leaseOf(origin), fakeCall({ stream: false }), first)
  await first.over
  await new Promise((resolve) => setImmediate(resolve))
  client.open(leaseOf(origin), fakeCall({ stream: false }), next)
  return next.over
}

describe('a connection that its engine gives up as it gets one more request', () => {
  it.each([
    ['closes', 'destroy'],
    ['resets', 'resetAndDestroy']
  ] as const)('is one that it %s: another one is asked, once', async (_how, giveUp) => {
    let asked = 0
    await using engine = await serveBytes((socket) => {
      if (++asked === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na')
      else socket[giveUp]()
    })
    expect([await askTwice(engine.origin), asked]).toEqual([expect.not.stringContaining('end'), 3])
  })
})

describe('a kept connection that breaks within its next answer', () => {
  it.each([
    ['an informational head', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['a head', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    ['a part of it', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na']
  ])('after %s has run its request: no other one is asked', async (_what, said) => {
    let asked = 0
    await using engine = await serveBytes(async (socket) => {
      if (++asked === 1) return socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na')
      socket.write(said)
      await sleep(20)
      return socket.destroy()
    })
    expect([await askTwice(engine.origin), asked]).toEqual([expect.not.stringContaining('end'), 2])
  })
})

describe('a new connection that its engine gives up', () => {
  it.each([
    ['closes', 'destroy', ''],
    ['closes in the middle of a head', 'destroy', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['resets', 'resetAndDestroy', ''],
    ['resets in the middle of a head', 'resetAndDestroy', 'HTTP/1.1 200 OK\r\nContent-Le']
  ] as const)('is one that it %s: it may have run the request, and is not asked again', async (_how, giveUp, said) => {
    let asked = 0
    await using engine = await serveBytes(async (socket) => {
      asked++
      if (said !== '') {
        socket.write(said)
        await sleep(20)
      }
      socket[giveUp]()
    })
    const handler = new RecordingHandler()
    create().open(leaseOf(engine.origin), fakeCall({ stream: false }), handler)
    expect([await handler.over, asked]).toEqual([expect.not.stringContaining('end'), 1])
  })

  it('after a kept one was given up is not asked again, either', async () => {
    let asked = 0
    await using engine = await serveBytes((socket) => {
      if (++asked === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na')
      else socket.destroy()
    })
    const client = create()
    for (const how of ['end', 'other', 'other']) {
      const handler = new RecordingHandler()
      client.open(leaseOf(engine.origin), fakeCall({ stream: false }), handler)
      expect((await handler.over) === 'end').toBe(how === 'end')
      await sleep(20)
    }
    // the kept one and once more, then one new one
    expect(asked).toBe(1 + 2 + 1)
  })
})

describe('an engine that answers before it has taken the request', () => {
  it('gets the next one on another connection', async () => {
    let asked = 0
    await using engine = await serveBytes((socket) => {
      asked++
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 1\r\n\r\na')
    })
    const client = create()
    for (let i = 1; i <= 2; i++) {
      const handler = new RecordingHandler()
      const body = { type: 'application/json', bytes: Buffer.alloc(30_000_000, ' ') }
      client.open(leaseOf(engine.origin), fakeCall({ stream: false, body }), handler)
      expect([await handler.over, handler.status, asked]).toEqual(['end', 413, i])
      await sleep(20)
    }
  })
})

describe('an engine behind TLS', () => {
  it('is offered HTTP/1.1 alone, on a connection for each request', async () => {
    const hellos: Buffer[] = []
    const bothCame = Promise.withResolvers<void>()
    await using engine = await serveBytes((_socket, bytes) => {
      if (hellos.push(bytes) === 2) bothCame.resolve()
    })
    const client = create()
    for (let i = 0; i < 2; i++)
      client.open(
        leaseOf(engine.origin.replace('http:', 'https:')),
        fakeCall({ stream: false }),
        new RecordingHandler()
      )
    await bothCame.promise
    // the extension of a ClientHello in which protocols are offered (RFC 7301, 3.1), with one of them
    const offer = Buffer.from('\0\x10\0\x0b\0\x09\x08http/1.1', 'latin1')
    expect(hellos.map((hello) => hello.includes(offer))).toEqual([true, true])
  })
})
