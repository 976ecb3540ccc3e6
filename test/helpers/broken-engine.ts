// An engine that promises a large JSON answer, sends a part of it, and tears the connection.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BrokenEngine extends AsyncDisposable {
  readonly url: string
}

/** Its answer is well above what the gateway holds back before it sends a head. */
export async function startBrokenEngine(): Promise<BrokenEngine> {
  const server = createServer((request, response) => {
    if (request.url === '/health') {
      response.end()
      return
    }
    request.resume()
    request.once('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '400000' })
      response.write('{"choices":[{"message":{"content":"'.padEnd(200_000, 'x'), () => {
        setTimeout(() => response.destroy(), 50)
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
