// However an engine's bytes are framed and cut on their way, the client gets the engine's events to the byte.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, eventsOf } from '../helpers/client.ts'
import { DONE_EVENT, FINISH, ROLE, seeded, TEXT, USAGE } from '../helpers/fakes.ts'
import { startBy, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import {
  chunkOf,
  cutEvery,
  LAST_CHUNK,
  type ScriptedEngine,
  type ScriptedRequest,
  STREAM_HEAD,
  startScriptedEngine,
  streamResponse,
  writePieces,
  writeTo
} from '../helpers/scripted-engine.ts'
import { stream } from '../helpers/told.ts'

const MiB = 1024 * 1024
const ANSWER = [
  ROLE(),
  TEXT('Rivers'),
  TEXT(' of 猫🐈‍⬛é'),
  TEXT('\n\ndata: [DONE]\n\n'),
  FINISH('stop', ' end'),
  DONE_EVENT
]
const withCrLf = (events: readonly string[]) => events.map((event) => event.replaceAll('\n', '\r\n'))
/** The same JSON over two lines of data, cut where JSON allows white space. */
const inTwoLines = (event: string) => event.replace(',"choices":', ',\ndata: "choices":')
const withComments = [
  ...ANSWER.slice(0, 2),
  ': ping\n\n',
  ...ANSWER.slice(2, 4),
  ':\n\n: a\n: b\n\n',
  ...ANSWER.slice(4)
]

/** What the engine says, event by event. */
const RECORDINGS: Readonly<Record<string, readonly string[]>> = {
  plain: ANSWER,
  'CRLF line ends': withCrLf(ANSWER),
  comments: withComments,
  'CRLF line ends and comments': withCrLf(withComments),
  'data over two lines': [...ANSWER.slice(0, -1).map(inTwoLines), DONE_EVENT],
  'data over two lines with CRLF line ends': withCrLf([...ANSWER.slice(0, -1).map(inTwoLines), DONE_EVENT]),
  'no space after the colon': ANSWER.map((event) => event.replace('data: ', 'data:')),
  'event, id and retry fields': ANSWER.map((event, index) => `event: message\nid: ${index}\nretry: 10\n${event}`),
  'a comment within an event': ANSWER.map((event, index) => (index === 0 ? event : `: note\n${event}`))
}
/** The bytes of one HTTP chunk: one for everything, a few events a chunk, an event over many chunks. */
const CHUNKS = [Number.MAX_SAFE_INTEGER, 300, 37, 1]
/** The bytes of one write. */
const CUTS = [Number.MAX_SAFE_INTEGER, 7, 1]

describe.each(WAYS)('by way of %s,', (way) => {
  let engine: ScriptedEngine
  let gateway: TestGateway
  beforeAll(async () => {
    engine = await startScriptedEngine(() => {})
    gateway = await startBy(way)({ engines: [], urls: [engine.url], config: { budget: { firstTokenMs: 5_000 } } })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()
  })

  /** The engine sends `bytes` in pieces of `cut`. */
  function sends(bytes: Buffer, cut: number): void {
    engine.script = ({ socket }) => writePieces(socket, cutEvery(bytes, Math.min(cut, bytes.length)))
  }

  async function expectAll(expected: string): Promise<void> {
    const { text, record, response } = await stream(gateway)
    expect(text).toBe(expected)
    expect([response.status, record.outcome, record.attempts]).toEqual([200, 'complete', 1])
  }

  describe.each(Object.entries(RECORDINGS))('an answer with %s', (_name, events) => {
    it.each(CHUNKS.flatMap((chunk) => CUTS.map((cut) => [chunk, cut])))(
      'in chunks of %i bytes and writes of %i arrives to the byte',
      async (chunk = 1, cut = 1) => {
        sends(streamResponse(events.join(''), chunk), cut)
        await expectAll(events.join(''))
      }
    )

    it('in a chunk an event arrives to the byte', async () => {
      const pieces = [STREAM_HEAD, ...events.map(chunkOf), LAST_CHUNK]
      engine.script = ({ socket }) => writePieces(socket, pieces)
      await expectAll(events.join(''))
    })

    it('and a usage chunk that nobody asked for, cut anywhere, arrives without that', async () => {
      const shown = events.join('')
      const usage = events === RECORDINGS['CRLF line ends'] ? withCrLf([USAGE(5, 6)]).join('') : USAGE(5, 6)
      const said = [...events.slice(0, -1), usage, events.at(-1) ?? ''].join('')
      for (const [chunk, cut] of [
        [1e9, 1e9],
        [300, 7],
        [37, 1e9],
        [1, 1]
      ] as const) {
        sends(streamResponse(said, chunk), cut)
        await expectAll(shown)
      }
    })
  })

  it('an answer in random chunks and random writes arrives to the byte, a hundred times', async () => {
    const random = seeded(42)
    const randomCut = (bytes: Buffer, max: number) => {
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + Math.floor(random() ** 3 * max)
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      return pieces
    }
    const all = Object.values(RECORDINGS)
    for (let i = 0; i < 100; i++) {
      const text = (all[Math.floor(random() * all.length)] ?? ANSWER).join('')
      const chunks = randomCut(Buffer.from(text), 600).map(chunkOf)
      const wire = Buffer.concat([Buffer.from(STREAM_HEAD), ...chunks, Buffer.from(LAST_CHUNK)])
      const pieces = randomCut(wire, 900)
      engine.script = ({ socket }) => writePieces(socket, pieces)
      await expectAll(text)
    }
  })

  it('connections are used again after answers however those were cut', () => {
    const connections = new Set(engine.requests.slice(-50).map(({ connection }) => connection))
    expect(connections.size).toBeGreaterThan(0)
    // a request that comes before the last one's end was read, or beside a health probe, takes another one
    expect(connections.size).toBeLessThan(5)
  })

  it('an event of almost 1 MiB arrives whole', async () => {
    const events = [ROLE(), TEXT('a'), TEXT('x'.repeat(MiB - 400)), FINISH('stop'), DONE_EVENT].join('')
    for (const chunk of [1e9, 10_000]) {
      sends(streamResponse(events, chunk), 100_000)
      await expectAll(events)
    }
  })

  describe('an event that never ends', () => {
    /** Sends 1 GiB of one event after `before`, for as long as it is taken; says how much was. */
    async function flood(before: string, frame: (bytes: Buffer) => Buffer) {
      const flooded = Promise.withResolvers<ScriptedRequest>()
      const memory = () => process.memoryUsage().arrayBuffers
      const [start, filler] = [memory(), Buffer.alloc(65_536, 'x')]
      let most = 0
      engine.script = async (request) => {
        const { socket } = request
        socket.write(STREAM_HEAD)
        if (before !== '') socket.write(chunkOf(before))
        socket.write(frame(Buffer.from('data: {"choices":[{"delta":{"content":"')))
        const whole = frame(filler)
        for (let i = 0; i < 16_384 && !socket.destroyed; i++) {
          await writeTo(socket, whole)
          most = Math.max(most, memory() - start)
        }
        flooded.resolve(request)
      }
      const response = await chat(gateway.address, { body: { stream: true } })
      const text = await response.text()
      const { socket } = await flooded.promise
      expect(socket.destroyed).toBe(true)
      expect(socket.bytesWritten).toBeLessThan(32 * MiB)
      expect(most).toBeLessThan(32 * MiB)
      return { status: response.status, text }
    }

    it.each([
      ['many chunks', chunkOf],
      [
        'one chunk',
        (bytes: Buffer) => (bytes.length < 100 ? Buffer.concat([Buffer.from('40000000\r\n'), bytes]) : bytes)
      ]
    ])('in %s is refused in time, and in an event after an answer has begun', async (_what, frame) => {
      const { status, text } = await flood(ROLE() + TEXT('a'), frame)
      const events = eventsOf(text)
      expect([status, events.length, events.at(-1)]).toEqual([200, 4, '[DONE]'])
      expect(JSON.parse(events[2] ?? '').error.code).toBe('upstream_error')
      await until('the log has the cause', () => String(gateway.log.at(-1)?.cause).includes('larger than 1 MiB'))
    })

    it('at the front of an answer is a status', async () => {
      const { status, text } = await flood('', chunkOf)
      expect([status, JSON.parse(text).error.code]).toEqual([502, 'upstream_error'])
    })
  })
})
