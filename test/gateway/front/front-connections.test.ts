// Connections at the front: requests one after the other, clients that leave or read slowly, and waits that are too long.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import {
  answer,
  answerers,
  answersOf,
  closeFronts,
  dial,
  KEEP_ALIVE_MS,
  type Lab,
  openFront,
  plain
} from '../../helpers/front.ts'
import { until } from '../../helpers/gateway.ts'

afterEach(closeFronts)

/** A client whose request is taken and not answered yet, and what tells that it has left. */
async function openAnswer() {
  const lab = await openFront()
  lab.answersAtOnce = false
  const client = dial(lab)
  client.socket.write(plain())
  await until('it is taken', () => lab.sinks.length === 1)
  const gone = new Promise<string>((resolve) => lab.sinks[0]?.onGone(() => resolve('gone')))
  return { lab, client, gone }
}

describe('a connection', () => {
  const other = 'GET / HTTP/1.1\r\nHost: gateway\r\n\r\n'

  it('carries plain requests one after the other, and stays with Node after another one', async () => {
    const lab = await openFront()
    expect(await answersOf(lab, [plain('1'), plain('2'), other, plain('3')], 4)).toEqual([
      'front',
      'front',
      'node',
      'node'
    ])
    expect(lab.taken).toEqual(['1', '2'])
  })

  it('whose client sends everything at once is answered in order', async () => {
    const lab = await openFront()
    expect(await answersOf(lab, [plain('1') + plain('2') + other + plain('3')], 4)).toEqual([
      'front',
      'front',
      'node',
      'node'
    ])
  })

  it('becomes another protocol through Node, with what was sent right behind the request', async () => {
    const lab = await openFront()
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
    const lab = await openFront()
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
    const lab = await openFront()
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
    const { lab, client, gone } = await openAnswer()
    client.socket.destroy()
    expect(await gone).toBe('gone')
    const accepted = once(lab.server, 'connection') as Promise<[Socket]>
    const half = dial(lab)
    half.socket.write(plain('{}', ['X-Request-Id: half']).slice(0, -1))
    const [socket] = await accepted
    await until('it is read', () => socket.bytesRead > 0)
    half.socket.destroy()
    await until('it is reported', () => lab.broken.length > 0)
    expect(lab.broken).toEqual(['half'])
  })

  it('that closes behind more than a large request that it had sent ahead is told of', async () => {
    const { client, gone } = await openAnswer()
    client.socket.write(plain('x'.repeat(95_000)).repeat(2).slice(0, 160_000))
    await sleep(20)
    client.socket.destroy()
    expect(await gone).toBe('gone')
  })

  it('that half closes is taken for one that leaves, as Node does', async () => {
    const { client, gone } = await openAnswer()
    client.socket.end()
    expect(await gone).toBe('gone')
    await until('it is closed', () => client.closed)
  })

  it('counts as open until its answer has left, and is closed behind it where it is to be', async () => {
    const lab = await openFront()
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
    await until('it is closed', () => client.closed)
    expect(client.text).toContain(`\r\n${'\0'.repeat(20_000_000)}\r\n0\r\n\r\n`)
    expect(lab.front.openResponses()).toBe(0)
  })

  it('whose answer ends when nobody listens any more is closed behind it, once a slow reader has all of it', async () => {
    const { lab, client } = await openAnswer()
    client.socket.pause()
    lab.server.close()
    const [sink] = lab.sinks
    sink?.head(200, { 'content-type': 'text/plain', 'content-length': '20000000' })
    sink?.write(Buffer.alloc(20_000_000))
    sink?.end()
    expect(lab.front.openResponses()).toBe(1)
    client.socket.resume()
    await until('it is closed', () => client.closed)
    expect(client.text.split('\r\n\r\n')[1]).toHaveLength(20_000_000)
  })

  it('that is closed behind its answer has all of it, though its client has asked once more meanwhile', async () => {
    const { lab, client } = await openAnswer()
    client.socket.pause()
    lab.server.close()
    lab.serves = false
    const [sink] = lab.sinks
    sink?.head(200, { 'content-type': 'text/plain', 'content-length': '20000000' })
    sink?.write(Buffer.alloc(20_000_000))
    sink?.end()
    client.socket.write(plain('next'))
    await sleep(50)
    expect(lab.front.openResponses()).toBe(1)
    client.socket.resume()
    await until('it is closed', () => client.closed)
    expect(client.text.split('\r\n\r\n')[1]).toHaveLength(20_000_000)
  })
})

describe('a reader that is slow with the end of an answer', () => {
  const LARGE = 20_000_000

  /** A client that reads nothing of an answer that has ended. */
  async function stall(stalledMs: number) {
    const lab = await openFront({ stalledMs })
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
    const { lab, client } = await stall(2_000)
    client.socket.resume()
    await until('it has all', () => client.text.length > LARGE && lab.front.openResponses() === 0)
    await sleep(2_200)
    client.socket.write(plain('next'))
    await until('the next one is taken', () => lab.sinks.length === 1)
    await sleep(2_200)
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
    const lab = await openFront()
    const client = dial(lab)
    client.socket.write(plain())
    await until('it is answered', () => client.text.endsWith('front'))
    expect(client.text).toContain('Keep-Alive: timeout=5\r\n')
    await wait(lab, KEEP_ALIVE_MS)
    expect(client.closed).toBe(false)
    await wait(lab, 1_001)
    await until('it is closed', () => client.closed)
    expect(client.text.endsWith('front')).toBe(true)
  })

  it('for its first request, or for the rest of a body, is refused by the limits of Node’s server', async () => {
    const lab = await openFront()
    lab.server.headersTimeout = 2_000
    lab.server.requestTimeout = 3_000
    const [silent, half, answered] = [dial(lab), dial(lab), dial(lab)]
    half.socket.write(plain('{"a":1}').slice(0, -3))
    lab.answersAtOnce = false
    answered.socket.write(plain())
    await until('one is taken', () => lab.sinks.length === 1)
    await wait(lab, 2_001)
    await until('the first is closed', () => silent.closed)
    expect([silent.text, half.text]).toEqual(['refused: ERR_HTTP_REQUEST_TIMEOUT', ''])
    await wait(lab, 1_000)
    await until('the second is closed', () => half.closed)
    expect([half.text, answered.closed]).toEqual(['refused: ERR_HTTP_REQUEST_TIMEOUT', false])
  })
})
