// One stream of a WebSocket as a sink: what becomes a message, who is told of its end, and how often.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../gateway/errors.ts'
import type { Stream, Wire } from '../../../../gateway/routes/websocket/wire.ts'
import { type Framing, WsSink } from '../../../../gateway/routes/websocket/ws-sink.ts'
import { dataOf } from '../../../../gateway/stream/sse.ts'

class FakeWire implements Wire {
  open = true
  full = false
  retired = undefined
  readonly did: string[] = []
  readonly streams = new Set<Stream>()
  cork = () => void this.did.push('cork')
  uncork = () => void this.did.push('uncork')
  send = (message: Buffer) => void this.did.push(String(message))
  attach = (stream: Stream) => void this.streams.add(stream)
  detach = (stream: Stream) => void this.streams.delete(stream)
  cut = () => void this.did.push('cut')
}

const framing: Framing = {
  event: (run, start, end) => dataOf(run, start, end),
  done: () => Buffer.from('done'),
  failed: ({ code }) => Buffer.from(code)
}

function open() {
  const [wire, told] = [new FakeWire(), [] as string[]]
  const sink = new WsSink(wire, framing, () => told.push('over'))
  sink.onGone(() => told.push('gone'))
  sink.onDrain(() => told.push('drained'))
  sink.head()
  return { wire, told, sink }
}

describe('a write', () => {
  it('sends each of its events as a message, all of them at once, and no comment', () => {
    const { wire, sink } = open()
    expect(sink.write(Buffer.from('data: a\n\n: heartbeat\n\nevent: x\ndata: b\n\n'))).toBe(true)
    expect(wire.did).toEqual(['cork', 'a', 'b', 'uncork'])
  })

  it('asks for a pause while the connection is full, and for the rest once it has emptied', () => {
    const { wire, told, sink } = open()
    wire.full = true
    expect(sink.write(Buffer.from('data: a\n\n'))).toBe(false)
    sink.drained()
    expect(told).toEqual(['drained'])
  })
})

describe('the end of a stream', () => {
  it('comes once, whatever follows', () => {
    const { wire, told, sink } = open()
    sink.end()
    sink.end()
    sink.fail(new GatewayError('upstream_error'))
    sink.cancel()
    sink.left()
    sink.drained()
    expect(sink.write(Buffer.from('data: late\n\n'))).toBe(true)
    expect([wire.did, told]).toEqual([['done'], ['over']])
    expect([sink.gone, wire.streams.size]).toEqual([true, 0])
  })

  it('is an error where the answer is not whole', () => {
    const { wire, told, sink } = open()
    sink.fail(new GatewayError('idle_timeout'))
    expect([wire.did, told]).toEqual([['idle_timeout'], ['over']])
  })

  it('by its client frees the engine before anybody else is told', () => {
    const { wire, told, sink } = open()
    sink.cancel()
    expect([wire.did, told, wire.streams.size]).toEqual([[], ['gone', 'over'], 0])
  })

  it('by the connection’s end frees the engine, and tells nobody who could answer', () => {
    const { wire, told, sink } = open()
    wire.open = false
    expect(sink.gone).toBe(true)
    sink.left()
    sink.left()
    expect([told, wire.streams.size]).toEqual([['gone'], 0])
  })

  it('of a reader that takes nothing is the connection’s end', () => {
    const { wire, told, sink } = open()
    sink.fail(new GatewayError('slow_reader'))
    expect([wire.did, told]).toEqual([['cut'], []])
    sink.left()
    expect(told).toEqual(['gone'])
  })
})
