// A front over Node's own server, with fakes behind it, and clients that see which of the two has answered.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Principal, Sink } from '../../gateway/call.ts'
import { type Front, installFront } from '../../gateway/front/front.ts'
import { fakeCall } from './fakes.ts'
import { until } from './gateway.ts'

const PRINCIPAL: Principal = { keyId: 'k', maxOutputTokens: undefined, models: 'unrestricted' }
export const KEEP_ALIVE_MS = 5_000

/** A front, its server, and what the tests see and set of it. */
export interface Lab {
  readonly server: Server
  readonly front: Front
  readonly port: number
  /** Bodies of the requests that the front took. */
  readonly taken: string[]
  /** Sinks that have not been answered, when they are not at once. */
  readonly sinks: Sink[]
  readonly broken: unknown[]
  serves: boolean
  answersAtOnce: boolean
  nowMs: number
}

const labs: Lab[] = []

/** Closes every front that was opened, and its server; for `afterEach`. */
export function closeFronts(): void {
  for (const { server, front } of labs.splice(0)) {
    front.close()
    server.closeAllConnections()
    server.close()
  }
}

/** Opens a server with a front on it. */
export async function openFront({ stalledMs = 10_000 } = {}): Promise<Lab> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end('node'))
  })
  const lab = {
    server,
    taken: [],
    sinks: [],
    broken: [],
    serves: true,
    answersAtOnce: true,
    nowMs: 0
  } as unknown as Lab
  const front = install(lab, stalledMs)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  Object.assign(lab, { front, port: (server.address() as AddressInfo).port })
  labs.push(lab)
  return lab
}

/** Installs the front on the server of `lab`, and lets it tell `lab` of everything. */
function install(lab: Lab, stalledMs: number): Front {
  return installFront(
    lab.server,
    { maxBodyBytes: 100_000, keepAliveMs: KEEP_ALIVE_MS, stalledMs },
    {
      now: () => lab.nowMs,
      date: () => 'NOW',
      serves: () => lab.serves,
      identify(bytes, start, end) {
        if (bytes.toString('latin1', start, end) !== 'Bearer good') throw new Error('who is it?')
        return PRINCIPAL
      },
      receive({ body }) {
        const text = body.toString()
        if (text.includes('refuse')) throw new Error('not this one')
        lab.taken.push(text)
        return { call: fakeCall(), headers: { 'x-request-id': 'r' } }
      },
      exchange(_call, sink) {
        if (lab.answersAtOnce) answer(sink)
        else lab.sinks.push(sink)
      },
      refuse: ({ code }, socket) => void socket.end(`refused: ${code}`),
      onBroken: (headers) => lab.broken.push(headers['x-request-id'])
    }
  )
}

/** A whole answer of the front. */
export function answer(sink: Sink): void {
  sink.head(200, { 'content-type': 'text/plain', 'content-length': '5' })
  sink.write(Buffer.from('front'))
  sink.end()
}

/** A client and all that it has read. */
export function dial({ port }: Lab) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const client = { socket, text: '', closed: false }
  socket.on('data', (bytes) => (client.text += bytes.toString()))
  socket.on('end', () => socket.end())
  socket.on('close', () => (client.closed = true))
  socket.on('error', () => {})
  return client
}

/** A request that the front takes, unless `fields` or `line` make it another. */
export const plain = (body = '{}', fields: readonly string[] = [], line = 'POST /v1/completions HTTP/1.1') =>
  [
    line,
    'Host: gateway',
    'Authorization: Bearer good',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...fields,
    '',
    body
  ].join('\r\n')

/** Who answered, in order. */
export const answerers = (text: string) => text.match(/front|node|refused: \w+|HTTP\/1.1 4\d\d/g) ?? []

/** Sends the pieces one by one, and tells who answered once there are `count` answers. */
export async function answersOf(lab: Lab, pieces: readonly string[], count: number): Promise<string[]> {
  const client = dial(lab)
  for (const piece of pieces) {
    client.socket.write(piece)
    await sleep(5)
  }
  await until('all answers are here', () => answerers(client.text).length >= count || client.closed)
  client.socket.destroy()
  return answerers(client.text)
}
