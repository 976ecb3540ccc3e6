// The sink over a socket: what reaches the wire, in how many writes, and whose memory it is.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Api } from '../../../gateway/engine-routes.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { SocketSink } from '../../../gateway/front/socket-sink.ts'
import { HEARTBEAT, SSE_HEADERS } from '../../../gateway/stream/sse.ts'
import { until } from '../../helpers/gateway.ts'
import { closePairs, openPair } from '../../helpers/socket-pair.ts'

const STYLE = { keepAlive: 'timeout=75', stalledMs: 10_000, date: () => 'NOW' }
const JSON_HEADERS = { 'content-type': 'application/json', 'content-length': '2' }

afterEach(closePairs)

/** A sink, the socket that it writes to, and a reader of it. */
async function open(api: Api = 'chunks') {
  const pair = await openPair()
  const { socket, reader } = pair
  socket.on('error', () => {})
  const read = Object.assign(pair.read, { closed: false })
  reader.on('close', () => (read.closed = true))
  const onAnswered = vi.fn()
  const sink = new SocketSink(socket, { id: 'r1', api, maxTokens: undefined }, {}, STYLE, { onAnswered })
  socket.on('drain', () => sink.drained())
  return { sink, socket, reader, read, onAnswered, writes: vi.spyOn(socket, 'write') }
}

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\nx-request-id: r1\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n' +
  'x-accel-buffering: no\r\nDate: NOW\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('an answer', () => {
  it('that is streamed is framed in chunks, and the last one ends it', async () => {
    const { sink, read, onAnswered } = await open()
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.from('data: 1\n\n'))
    sink.writeFrames(Buffer.from('9\r\ndata: 2\n\n\r\n'))
    expect([sink.headSent, onAnswered.mock.calls.length]).toEqual([true, 0])
    sink.end()
    const body = '9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n'
    await until('it is here', () => read.text.length >= STREAM_HEAD.length + body.length)
    expect(read.text).toBe(STREAM_HEAD + body)
    expect([sink.gone, onAnswered.mock.calls.length]).toEqual([true, 1])
  })

  it('of a known length goes as it is', async () => {
    const { sink, read } = await open()
    sink.head(201, JSON_HEADERS)
    sink.write(Buffer.from('{}'))
    sink.end()
    await until('it is here', () => read.text.endsWith('{}'))
    expect(read.text).toContain('HTTP/1.1 201 Created\r\n')
    expect(read.text).not.toContain('Transfer-Encoding')
  })

  it('of one tick leaves in one write, head and end included', async () => {
    const { sink, writes } = await open()
    sink.head(200, SSE_HEADERS)
    sink.write(HEARTBEAT)
    sink.writeFrames(Buffer.from('9\r\ndata: 2\n\n\r\n'))
    sink.end()
    expect(writes).toHaveBeenCalledTimes(1)
  })

  it('leaves in one write from when it is told to gather', async () => {
    const { sink, writes } = await open()
    sink.head(200, SSE_HEADERS)
    sink.flush()
    sink.writeFrames(Buffer.from('9\r\ndata: 1\n\n\r\n'))
    sink.hold()
    sink.writeFrames(Buffer.from('9\r\ndata: 2\n\n\r\n'))
    sink.writeFrames(Buffer.from('9\r\ndata: 3\n\n\r\n'))
    expect(writes).toHaveBeenCalledTimes(2)
    sink.end()
    expect(writes).toHaveBeenCalledTimes(3)
  })

  it('whose head nobody flushes has it at the reader when the tick ends', async () => {
    const { sink, read } = await open()
    sink.head(200, SSE_HEADERS)
    await until('it is here', () => read.text === STREAM_HEAD)
  })

  it('that begins while another gathers does not mix with it', async () => {
    const [one, two] = [await open(), await open()]
    one.sink.head(200, SSE_HEADERS)
    one.sink.write(Buffer.from('one'))
    two.sink.head(200, SSE_HEADERS)
    one.sink.write(Buffer.from('more'))
    two.sink.write(Buffer.from('two'))
    one.sink.end()
    two.sink.end()
    await until('both are here', () => [one, two].every(({ read }) => read.text.endsWith('0\r\n\r\n')))
    expect(one.read.text).toBe(`${STREAM_HEAD}3\r\none\r\n4\r\nmore\r\n0\r\n\r\n`)
    expect(two.read.text).toBe(`${STREAM_HEAD}3\r\ntwo\r\n0\r\n\r\n`)
  })

  it('larger than what gathers arrives in order', async () => {
    const { sink, read } = await open()
    sink.head(200, SSE_HEADERS)
    sink.write(Buffer.from('a'))
    sink.write(Buffer.alloc(100_000, 'b'))
    sink.write(Buffer.from('c'))
    sink.end()
    await until('it is here', () => read.text.endsWith('0\r\n\r\n'))
    expect(read.text.slice(STREAM_HEAD.length)).toMatch(/^1\r\na\r\n186a0\r\nb{100000}\r\n1\r\nc\r\n0\r\n\r\n$/)
  })

  it('that has ended takes no more', async () => {
    const { sink, read, onAnswered } = await open()
    sink.head(200, JSON_HEADERS)
    sink.write(Buffer.from('{}'))
    sink.end()
    sink.write(Buffer.from('late'))
    sink.end()
    sink.fail(new GatewayError('internal_error'))
    await until('it is here', () => read.text.endsWith('{}'))
    await turn()
    expect([read.text.endsWith('\r\n\r\n{}'), onAnswered.mock.calls.length]).toEqual([true, 1])
  })

  it('with a header that would end its line is refused before anything leaves', async () => {
    const { sink, writes, read } = await open()
    expect(() => sink.head(200, { 'content-type': 'a\r\nset-cookie: b' })).toThrow(/content-type/)
    await turn()
    expect([writes.mock.calls.length, sink.headSent]).toEqual([0, false])
    sink.fail(new GatewayError('internal_error'))
    await until('the reader is told', () => read.text.startsWith('HTTP/1.1 500 '))
  })
})

describe('a slow reader', () => {
  it('is waited for, and gets bytes that were only lent', async () => {
    const { sink, reader, read } = await open()
    reader.pause()
    sink.head(200, SSE_HEADERS)
    const lent = Buffer.from(`10000\r\n${'a'.repeat(65_536)}\r\n`)
    let count = 1
    while (sink.writeFrames(lent)) count++
    lent.fill('!')
    const drained = new Promise<void>((resolve) => sink.onDrain(resolve))
    reader.resume()
    await drained
    sink.end()
    await until('all is here', () => read.text.endsWith('0\r\n\r\n'))
    expect(read.text.length - STREAM_HEAD.length).toBe(count * lent.length + 5)
    expect(read.text).not.toContain('!')
  })
})

describe('a failure', () => {
  const failure = new GatewayError('queue_full')

  it('before the head is a status and JSON', async () => {
    const { sink, read, onAnswered } = await open()
    sink.fail(failure)
    await until('it is here', () => read.text.endsWith('}}'))
    expect(read.text).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/)
    expect(read.text).toContain('\r\nretry-after: 2\r\n')
    expect(JSON.parse(read.text.split('\r\n\r\n')[1] ?? '').error.code).toBe('queue_full')
    expect(onAnswered).toHaveBeenCalledTimes(1)
  })

  it('is said in the words of its API', async () => {
    const { sink, read } = await open('messages')
    sink.fail(failure)
    await until('it is here', () => read.text.endsWith('}'))
    expect(JSON.parse(read.text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ type: 'error', request_id: 'r1' })
    const streamed = await open('responses')
    streamed.sink.head(200, SSE_HEADERS)
    streamed.sink.fail(failure, 7)
    await until('it is here', () => streamed.read.text.endsWith('0\r\n\r\n'))
    expect(streamed.read.text).toContain('"sequence_number":7')
  })

  it('in a stream is an event and [DONE]', async () => {
    const { sink, read } = await open()
    sink.head(200, SSE_HEADERS)
    sink.fail(failure)
    await until('it is here', () => read.text.endsWith('0\r\n\r\n'))
    expect(read.text).toMatch(/data: \{"error":.*\n\ndata: \[DONE\]\n\n\r\n0\r\n\r\n$/s)
  })

  it.each<[string, Record<string, string>, 'queue_full' | 'slow_reader']>([
    ['in half an answer of JSON', JSON_HEADERS, 'queue_full'],
    ['for a reader that was given up', { ...SSE_HEADERS }, 'slow_reader']
  ])('%s breaks the connection', async (_what, headers, code) => {
    const { sink, read, onAnswered } = await open()
    sink.head(200, headers)
    sink.write(Buffer.from('{'))
    sink.fail(new GatewayError(code))
    await until('it is broken', () => read.closed)
    expect([read.text.endsWith('0\r\n\r\n'), onAnswered.mock.calls.length]).toEqual([false, 0])
  })
})
