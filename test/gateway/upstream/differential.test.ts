// The fast way upstream beside undici: the same bytes, cut anywhere, read as the same answer, or refused; never as more.
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EngineHandler } from '../../../gateway/call.ts'
import { createClient } from '../../../gateway/upstream/client.ts'
import { createEventStreamClient } from '../../../gateway/upstream/event-stream-client.ts'
import { leaseOf, RecordingHandler } from '../../helpers/engine-server.ts'
import { fakeCall } from '../../helpers/fakes.ts'
import { type ScriptedEngine, startScriptedEngine } from '../../helpers/scripted-engine.ts'

interface Response {
  readonly bytes: string
  /** Its connection may be used again; else it must not be. */
  readonly clean?: boolean
  /** The engine closes the connection behind it. */
  readonly closes?: boolean
  /** The fast way reads it to its end, wherever it is cut. */
  readonly read?: boolean
}

const head = (...fields: string[]) => `HTTP/1.1 200 OK\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
const SSE = 'Content-Type: text/event-stream'
const CHUNKED = 'Transfer-Encoding: chunked'
const EVENTS = '9\r\ndata: a\n\n\r\n11\r\ndata: 猫 bcdef\n\n\r\n'
const END = '0\r\n\r\n'

const RESPONSES: Readonly<Record<string, Response>> = {
  'an event stream': { bytes: head(SSE, CHUNKED) + EVENTS + END, clean: true, read: true },
  'an event stream with a length': {
    bytes: `${head(SSE, 'Content-Length: 18')}data: a\n\ndata: b\n\n`,
    clean: true,
    read: true
  },
  'an error in JSON': {
    bytes: 'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"a":"b"}',
    clean: true,
    read: true
  },
  'an empty body': { bytes: head('Content-Length: 0'), clean: true, read: true },
  'no content': { bytes: 'HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n', clean: true, read: true },
  'upper-case sizes': {
    bytes: `${head(SSE, CHUNKED)}1A\r\ndata: 0123456789abcdefgh\n\n\r\n${END}`,
    clean: true,
    read: true
  },
  'zeros before sizes': { bytes: `${head(SSE, CHUNKED)}0009\r\ndata: a\n\n\r\n000\r\n\r\n`, clean: true, read: true },
  'more zeros before sizes': { bytes: `${head(SSE, CHUNKED)}0000000009\r\ndata: a\n\n\r\n${END}` },
  'a gzip header': { bytes: head(SSE, CHUNKED, 'Content-Encoding: gzip') + EVENTS + END, clean: true, read: true },
  'white space around values': {
    bytes: head(`${SSE}  `, 'Transfer-Encoding:   chunked  ') + EVENTS + END,
    clean: true
  },
  'a tab behind the coding': { bytes: head(SSE, `${CHUNKED}\t`) + EVENTS + END, closes: true },
  'a connection that closes': {
    bytes: head(SSE, CHUNKED, 'Connection: close') + EVENTS + END,
    closes: true,
    read: true
  },
  'a connection that says it closes, and does not': {
    bytes: head(SSE, CHUNKED, 'Connection: x, Close') + EVENTS + END
  },
  'a body until the end': { bytes: `${head(SSE)}data: a\n\n`, closes: true },
  'no last chunk': { bytes: head(SSE, CHUNKED) + EVENTS, closes: true },
  'half a last chunk': { bytes: `${head(SSE, CHUNKED)}${EVENTS}0\r\n`, closes: true },
  'half a chunk': { bytes: `${head(SSE, CHUNKED)}${EVENTS}ff\r\ndata: b`, closes: true },
  'half a body': { bytes: `${head(SSE, 'Content-Length: 99')}data: a\n\n`, closes: true },
  'half a head': { bytes: `HTTP/1.1 200 OK\r\n${SSE}\r\n`, closes: true },
  'chunk extensions': { bytes: `${head(SSE, CHUNKED)}9;a=b;c="d"\r\ndata: a\n\n\r\n${END}` },
  trailers: { bytes: `${head(SSE, CHUNKED)}${EVENTS}0\r\nX-Trailer: a\r\n\r\n` },
  'both lengths': { bytes: head(SSE, 'Content-Length: 9', CHUNKED) + EVENTS + END },
  'two lengths': { bytes: `${head(SSE, 'Content-Length: 9', 'Content-Length: 3')}data: a\n\n` },
  'a negative length': { bytes: `${head(SSE, 'Content-Length: -9')}data: a\n\n`, closes: true },
  'a folded header': { bytes: head(SSE, 'X-A: b', ' c', CHUNKED) + EVENTS + END },
  'a header without a colon': { bytes: head(SSE, 'X-A', CHUNKED) + EVENTS + END, closes: true },
  'a space before the colon': { bytes: head(SSE, 'Transfer-Encoding : chunked') + EVENTS + END, closes: true },
  'a size that is no number': { bytes: `${head(SSE, CHUNKED)}${EVENTS}xyz\r\ndata: b\n\n\r\n${END}`, closes: true },
  'a size with a sign': { bytes: `${head(SSE, CHUNKED)}${EVENTS}+9\r\ndata: b\n\n\r\n${END}`, closes: true },
  'a size with a prefix': { bytes: `${head(SSE, CHUNKED)}${EVENTS}0x9\r\ndata: b\n\n\r\n${END}`, closes: true },
  'a size that is too large for a number': {
    bytes: `${head(SSE, CHUNKED)}${EVENTS}ffffffffffffffff9\r\ndata: b\n\n\r\n${END}`,
    closes: true
  },
  'a chunk longer than its size': { bytes: `${head(SSE, CHUNKED)}8\r\ndata: a\n\n\r\n${END}`, closes: true },
  'a chunk shorter than its size': { bytes: `${head(SSE, CHUNKED)}a\r\ndata: a\n\n\r\n${END}`, closes: true },
  'line ends without CR': { bytes: `${head(SSE, CHUNKED)}9\ndata: a\n\n\n0\n\n`, closes: true },
  'a head without CR': { bytes: `HTTP/1.1 200 OK\n${SSE}\nContent-Length: 9\n\ndata: a\n\n`, closes: true },
  'bytes after its end': { bytes: `${head(SSE, CHUNKED)}${EVENTS}${END}0\r\n\r\n`, read: true },
  'a second response after its end': {
    bytes: `${head(SSE, CHUNKED) + EVENTS + END}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX`,
    read: true
  },
  'bytes after its length': { bytes: `${head(SSE, 'Content-Length: 9')}data: a\n\ndata: b\n\n`, read: true },
  'HTTP/1.0': { bytes: `HTTP/1.0 200 OK\r\n${SSE}\r\n\r\ndata: a\n\n`, closes: true },
  'an interim head': { bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${head(SSE, CHUNKED)}${EVENTS}${END}` },
  'two codings': { bytes: head(SSE, 'Transfer-Encoding: gzip, chunked') + EVENTS + END },
  'an unknown coding': { bytes: head(SSE, 'Transfer-Encoding: identity') + EVENTS, closes: true }
}

interface Read {
  readonly how: 'end' | 'error' | 'refused'
  readonly status: number | undefined
  readonly text: string
}

const LANES = 24
const CLIENT = { connectMs: 20_000, poolIdleMs: 5_000 }
const AFTER = `${head(SSE, CHUNKED)}5\r\nafter\r\n${END}`

let engine: ScriptedEngine
const undici = createClient(CLIENT)
/** Which connection each exchange came on, by request id. */
const connectionOf = new Map<string, number>()
/** Resolves when the engine has written everything. */
const written = new Map<string, () => void>()

beforeAll(async () => {
  engine = await startScriptedEngine(async ({ headers, socket, connection }) => {
    const id = headers['x-request-id'] ?? ''
    connectionOf.set(id, connection)
    const [name = '', cut] = id.split('#')
    const response = RESPONSES[name]
    if (response === undefined) return void socket.write(AFTER)
    const bytes = Buffer.from(response.bytes)
    socket.write(bytes.subarray(0, Number(cut)))
    await turn()
    await turn()
    socket.write(bytes.subarray(Number(cut)))
    if (response.closes) socket.end()
    await turn()
    written.get(id)?.()
  })
})
afterAll(async () => {
  await undici.destroy()
  await engine[Symbol.asyncDispose]()
})

/** One exchange, to its end and until the engine has nothing more to say. */
async function read(id: string, open: (handler: RecordingHandler) => Promise<undefined>): Promise<Read> {
  const said = new Promise<void>((resolve) => written.set(id, resolve))
  const handler = new RecordingHandler()
  const over = await Promise.race([handler.over, open(handler)])
  if (!id.startsWith('after ')) await said
  const how = over === 'end' ? 'end' : over === undefined ? 'refused' : 'error'
  return { how, status: handler.status, text: handler.text }
}

const byUndici = (id: string) =>
  read(id, (handler) => {
    undici.open(leaseOf(engine.url), fakeCall({ id }), handler)
    return new Promise(() => {})
  })

interface OwnRead extends Read {
  /** The next exchange of the same client, and whether it came on the same connection. */
  readonly next: Read
  readonly reused: boolean
}

/** Reads one answer and then another with a client of its own; what is refused goes nowhere. */
async function byOwn(id: string): Promise<OwnRead> {
  let refuse = (_handler: EngineHandler) => {}
  const client = createEventStreamClient(CLIENT, { fallBack: (_lease, _call, handler) => refuse(handler) })
  const ask = (callId: string) =>
    read(callId, (handler) => {
      const refused = new Promise<undefined>((resolve) => {
        refuse = () => resolve(undefined)
      })
      client.open(leaseOf(engine.url), fakeCall({ id: callId }), handler)
      return refused
    })
  const first = await ask(id)
  // what the engine said last has been read when two turns have passed
  await turn()
  await turn()
  const next = await ask(`after ${id}`)
  client.destroy()
  return { ...first, next, reused: connectionOf.get(id) === connectionOf.get(`after ${id}`) }
}

/** Runs `job` for each of `items`, a few at a time. */
async function each<T>(items: readonly T[], job: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const work = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await job(item)
  }
  await Promise.all(Array.from({ length: LANES }, work))
}

/** What is wrong with how the fast way read an answer, where undici read it so. */
function findFault(own: OwnRead, other: Read, { clean = false, read = false }: Response): string | undefined {
  const shown = JSON.stringify({ own, other })
  if (own.reused && !clean) return `reused an unclean connection: ${shown}`
  if (own.how === 'refused')
    return read || own.text !== '' || own.status !== undefined ? `refused: ${shown}` : undefined
  // what was refused once it had begun sends the next exchange the other way
  const isElsewhere = !read && own.next.how === 'refused'
  if (!isElsewhere && (own.next.how !== 'end' || own.next.text !== 'after')) return `spoilt the next exchange: ${shown}`
  if (own.status !== undefined && own.status !== other.status) return `another status: ${shown}`
  if (!Buffer.from(other.text).subarray(0, Buffer.byteLength(own.text)).equals(Buffer.from(own.text)))
    return `more or other bytes: ${shown}`
  if (own.how === 'end') {
    if (other.how !== 'end' || own.text !== other.text) return `another end: ${shown}`
    return clean && read && !own.reused ? `did not use a clean connection again: ${shown}` : undefined
  }
  return read ? `an error: ${shown}` : undefined
}

describe('an answer with', () => {
  it.each(Object.entries(RESPONSES))(
    '%s is read as undici reads it or is refused, wherever it is cut',
    async (name, response) => {
      const cuts = Array.from({ length: Buffer.byteLength(response.bytes) }, (_, index) => index + 1)
      const faults: string[] = []
      await each(cuts, async (cut) => {
        const id = `${name}#${cut}`
        const own = await byOwn(id)
        const fault = findFault(own, await byUndici(id), response)
        if (fault !== undefined) faults.push(`cut at ${cut} ${fault}`)
      })
      expect(faults.slice(0, 3)).toEqual([])
    },
    120_000
  )
})

describe('a connection whose exchange ended while it was paused', () => {
  it('reads on for the next one', async () => {
    const client = createEventStreamClient(CLIENT, { fallBack: () => {} })
    class FullHandler extends RecordingHandler {
      override onReadEnd(): void {
        this.control?.pause()
      }
    }
    const full = new FullHandler()
    client.open(leaseOf(engine.url), fakeCall({ id: 'paused' }), full)
    expect(await full.over).toBe('end')
    const next = new RecordingHandler()
    client.open(leaseOf(engine.url), fakeCall({ id: 'after paused' }), next)
    const answer = await Promise.race([next.over, new Promise((go) => setTimeout(go, 20_000, 'no answer'))])
    client.destroy()
    expect(answer).toBe('end')
  })
})
