// A path that breaks again and again: it forwards bytes, and destroys each connection after so many of them.
import { connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy extends AsyncDisposable {
  readonly address: string
  /** Connections that were cut so far. */
  cuts(): number
}

/** @param nextCut after how many bytes of its answer the next connection is cut */
export async function startCuttingProxy(target: string, nextCut: () => number): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let cuts = 0
  const server = createServer((client) => {
    const gateway = connect(Number(port), hostname)
    let left = nextCut()
    for (const socket of [client, gateway]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        gateway.destroy()
      })
    }
    client.pipe(gateway)
    gateway.on('data', (bytes) => {
      client.write(bytes.subarray(0, left))
      left -= bytes.length
      if (left > 0) return
      cuts++
      // what was written so far still arrives; then there is no end of a response, only a closed connection
      client.destroySoon()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return {
    address,
    cuts: () => cuts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
