// The process of `node-net.ts`: each client connection has one of its own to the engine, and bytes go to and fro.
import { connect, createServer } from 'node:net'
import { HOST } from './subject.ts'

const [port, enginePort] = process.argv.slice(2).map(Number)
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536)

const server = createServer({ noDelay: true }, (client) => {
  const engine = connect({
    host: HOST,
    port: enginePort as number,
    noDelay: true,
    onread: {
      buffer: READ_BUFFER,
      callback(length, bytes) {
        // a copy, because the socket may keep it while the buffer is read into again
        if (!client.write(Buffer.from(bytes.subarray(0, length)))) engine.pause()
        return true
      }
    }
  })
  client.on('data', (bytes) => engine.write(bytes))
  client.on('drain', () => engine.resume())
  for (const [socket, other] of [
    [client, engine],
    [engine, client]
  ] as const) {
    socket.on('error', () => {})
    socket.on('close', () => other.destroy())
  }
})
server.listen({ port, host: HOST, backlog: 4096 })
