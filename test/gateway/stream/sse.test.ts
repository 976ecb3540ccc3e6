// Framing: whole events come out of a byte stream, wherever the network cut it.
import { describe, expect, it } from 'vitest'
import { dataOf, EventCutter, findEventEnd } from '../../../gateway/stream/sse.ts'
import { seeded } from '../../helpers/fakes.ts'

/** The events that come out of `pieces`, copied as they are visited. */
function cut(pieces: readonly Buffer[], maxEventBytes = 1_000): string[] {
  const cutter = new EventCutter(maxEventBytes)
  const events: string[] = []
  for (const piece of pieces) {
    const fits = cutter.push(Buffer.from(piece), {
      onEvent(run, start, end) {
        events.push(run.toString('utf8', start, end))
        return true
      }
    })
    if (!fits) events.push('(too large)')
  }
  return events
}

const bytewise = (bytes: Buffer) => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))

const STREAMS = {
  LF: ['data: one\n\n', 'data: two\n\n', 'data: [DONE]\n\n'],
  CRLF: ['data: one\r\n\r\n', 'data: two\r\n\r\n', 'data: [DONE]\r\n\r\n'],
  'both line ends, mixed within one event': ['data: one\r\n\n', 'data: two\n\r\n', 'data: a\r\ndata: b\n\n'],
  'comments between events': [': keep-alive\n\n', 'data: one\n\n', ':\n\n', 'data: two\n\n'],
  'several lines of data': ['event: x\nid: 7\ndata: a\ndata: b\n\n', 'data: {"a":\ndata: 1}\n\n'],
  'characters of several bytes': ['data: Größe 猫\n\n', 'data: 👩‍🚀🇩🇪\r\n\r\n', 'data: é\n\n']
}

describe.each(Object.entries(STREAMS))('a stream with %s', (_name, events) => {
  const bytes = Buffer.from(events.join(''))

  it('comes out in its events when it comes in one piece', () => {
    expect(cut([bytes])).toEqual(events)
  })

  it('comes out in its events when it comes byte by byte', () => {
    expect(cut(bytewise(bytes))).toEqual(events)
  })

  it('comes out in its events wherever two cuts fall', () => {
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) {
        const pieces = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)]
        expect(cut(pieces), `cut at ${a} and ${b}`).toEqual(events)
      }
    }
  })
})

describe('EventCutter', () => {
  it('gives back every byte of a random stream in random pieces', () => {
    const random = seeded(1)
    for (let round = 0; round < 300; round++) {
      const ends = ['\n\n', '\r\n\r\n', '\n\r\n', '\r\n\n']
      const events = Array.from({ length: 8 }, () => {
        const text = 'x猫\r "{}'.repeat(Math.floor(random() * 5))
        return `data: ${text}${ends[Math.floor(random() * ends.length)]}`
      })
      const bytes = Buffer.from(events.join(''))
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; ) {
        const size = Math.floor(random() * 9)
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      expect(cut(pieces), `round ${round}`).toEqual(events)
    }
  })

  it('does not end an event at a single line end or at a lone carriage return', () => {
    expect(cut([Buffer.from('data: a\ndata: b\r\rdata: c\r\n')])).toEqual([])
  })

  it('counts what it holds of an unfinished event', () => {
    const cutter = new EventCutter(100)
    cutter.push(Buffer.from('data: a\n\ndata: b'), { onEvent: () => true })
    expect(cutter.heldBytes).toBe(7)
  })

  it('looks at nothing after an event at which the visitor stops', () => {
    const seen: string[] = []
    const cutter = new EventCutter(100)
    const stopAtB = (run: Buffer, start: number, end: number) => {
      seen.push(run.toString('utf8', start, end).trim())
      return seen.length < 2
    }
    cutter.push(Buffer.from('a\n\nb\n\nc\n\nd'), { onEvent: stopAtB })
    expect(seen).toEqual(['a', 'b'])
  })

  it.each([
    ['in one piece', [Buffer.from(`data: ${'x'.repeat(50)}\n\n`)]],
    ['byte by byte', bytewise(Buffer.from(`data: ${'x'.repeat(50)}`))],
    ['unfinished', [Buffer.from(`data: ${'x'.repeat(50)}`)]]
  ])('refuses an event beyond its bound that comes %s', (_how, pieces) => {
    expect(cut(pieces, 40)).toContain('(too large)')
  })

  it('takes an event of exactly the bound, whole or in pieces', () => {
    const event = `data: ${'x'.repeat(32)}\n\n`
    const bytes = Buffer.from(event)
    expect([...cut([bytes], 40), ...cut(bytewise(bytes), 40)]).toEqual([event, event])
  })

  it('hands an event that came whole over where it stands, without a copy', () => {
    const bytes = Buffer.from('data: a\n\n')
    const runs: Buffer[] = []
    new EventCutter(100).push(bytes, { onEvent: (run) => runs.push(run) > 0 })
    expect(runs[0]).toBe(bytes)
  })

  it('does not write over an event that it handed out before', () => {
    const cutter = new EventCutter(100)
    const runs: Buffer[] = []
    const keep = { onEvent: (run: Buffer, start: number, end: number) => runs.push(run.subarray(start, end)) > 0 }
    for (const piece of ['data: first', '\n\ndata: sec', 'ond\n\nx']) cutter.push(Buffer.from(piece), keep)
    expect(runs.map(String)).toEqual(['data: first\n\n', 'data: second\n\n'])
  })

  it('holds an event of a mebibyte that comes byte by byte in a buffer that grows a few times only', () => {
    const cutter = new EventCutter(2_000_000)
    const grown: number[] = []
    const original = Buffer.allocUnsafeSlow
    Buffer.allocUnsafeSlow = (size) => {
      grown.push(size)
      return original(size)
    }
    try {
      const x = Buffer.from('x')
      for (let i = 0; i < 1_048_576; i++) cutter.push(x, { onEvent: () => true })
    } finally {
      Buffer.allocUnsafeSlow = original
    }
    expect(grown.length).toBeLessThan(20)
  })
})

describe('findEventEnd', () => {
  it.each([
    ['data: a\n\nrest', 0, 9],
    ['data: a\r\n\r\nrest', 0, 11],
    ['data: a\n\r\nrest', 0, 10],
    ['a\n\nb\n\n', 3, 6],
    ['data: a\n', 0, -1],
    ['data: a\r\n\r', 0, -1],
    ['', 0, -1]
  ])('finds in %j from %i the end %i', (text, from, end) => {
    expect(findEventEnd(Buffer.from(text), from)).toBe(end)
  })
})

describe('the bytes of an event’s data', () => {
  const dataIn = (event: string) => {
    const run = Buffer.from(`data: before\n\n${event}data: after\n\n`)
    const start = 'data: before\n\n'.length
    return dataOf(run, start, start + Buffer.byteLength(event))?.toString()
  }

  it.each([
    ['data: {"a":1}\n\n', '{"a":1}'],
    ['data:{"a":1}\n\n', '{"a":1}'],
    ['data:  a\n\n', ' a'],
    ['event: x\nid: 1\ndata: é\n\n', 'é'],
    ['data: a\r\n\r\n', 'a'],
    ['data: a\ndata: b\n\n', 'a\nb'],
    ['data: a\r\n: comment\r\ndata: b\r\n\r\n', 'a\nb'],
    ['data:\n\n', ''],
    [': comment\n\n', undefined],
    ['event: data: x\n\n', undefined],
    ['database: x\n\n', undefined]
  ])('%j are %j', (event, data) => {
    expect(dataIn(event)).toBe(data)
  })
})
