// The way out of the HTTP server: connections end behind their answers, and no answer is cut short.
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type Server } from '../../gateway/server.ts'
import { until } from '../helpers/gateway.ts'

const LARGE = 20_000_000
const servers: Server[] = []

afterEach(async () => {
  for (const { http } of servers.splice(0)) {
    http.server.closeAllConnections()
    await http.close()
  }
})

/** A server, and a client that has sent `requests`. */
async function ask(requests: string) {
  const options = { maxBodyBytes: 100_000, corsOrigins: ['*'], keepAliveMs: 60_000 }
  const server = createServer(options, {
    newId: () => 'request',
    upgrades: ({ headers }) => headers.upgrade === 'echo',
    keepsConnections: () => true,
    onRefused() {}
  })
  servers.push(server)
  const held: (() => void)[] = []
  server.http.get('/held', (_request, reply) => void held.push(() => reply.send('held')))
  server.http.get('/large', () => Buffer.alloc(LARGE, 'x'))
  server.http.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  await server.http.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((server.http.server.address() as AddressInfo).port, '127.0.0.1')
  const client = { socket, text: '', closed: false }
  socket.on('data', (bytes) => (client.text += bytes.toString()))
  socket.on('close', () => (client.closed = true))
  socket.on('error', () => {})
  socket.write(requests)
  return { server, client, held }
}

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: gateway\r\n${fields}\r\n`
const count = (text: string, part: string) => text.split(part).length - 1

describe('a server that stops listening', () => {
  it.each(['/none', '/%'])('closes a connection at once that waits for a request after %s', async (path) => {
    const { server, client } = await ask(get(path))
    await until('it is answered', () => client.text.includes('"error"') && server.openResponses() === 0)
    await sleep(20)
    expect(client.closed).toBe(false)
    server.stopListening()
    await until('it is closed', () => client.closed)
  })

  it('lets a slow reader have all of an answer that has ended, and closes behind it', async () => {
    const { server, client } = await ask(get('/large'))
    client.socket.pause()
    await until('it is answered', () => server.openResponses() === 1)
    await sleep(50)
    server.stopListening()
    await sleep(20)
    expect(server.openResponses()).toBe(1)
    client.socket.resume()
    await until('it is closed', () => client.closed)
    expect(client.text.split('\r\n\r\n')[1]).toHaveLength(LARGE)
    expect(server.openResponses()).toBe(0)
  })

  it('answers everything that a client had sent ahead', async () => {
    const { server, client, held } = await ask(get('/held').repeat(2))
    await until('both are there', () => held.length === 2)
    server.stopListening()
    held[0]?.()
    await until('the first one is answered', () => count(client.text, 'held') === 1)
    await sleep(20)
    expect(client.closed).toBe(false)
    held[1]?.()
    await until('it is closed', () => client.closed)
    expect([count(client.text, 'held'), server.openResponses()]).toEqual([2, 0])
  })

  it('leaves a connection alone that has become a WebSocket', async () => {
    const { server, client } = await ask(get('/none'))
    await until('it is answered', () => client.text.includes('"error"'))
    await sleep(20)
    client.socket.write(get('/', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
    await until('it is one', () => client.text.includes('101 Switching'))
    server.stopListening()
    client.socket.write('still there?')
    await until('it says the same', () => client.text.endsWith('still there?'))
    client.socket.destroy()
  })
})
