// A connection over loopback with both of its ends, for what is written to a socket and what a reader gets of it.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface SocketPair {
  /** The server's end. */
  readonly socket: Socket
  /** The client's end. */
  readonly reader: Socket
  /** What the reader has read so far. */
  readonly read: { text: string }
}

const open: Socket[] = []

export async function openPair(): Promise<SocketPair> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  // it takes no second connection, and ends with this one
  server.close()
  open.push(reader, socket)
  const read = { text: '' }
  reader.on('data', (bytes) => (read.text += bytes.toString()))
  return { socket, reader, read }
}

/** Closes every pair that was opened; for `afterEach`. */
export function closePairs(): void {
  for (const socket of open.splice(0)) socket.destroy()
}
