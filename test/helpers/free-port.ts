// Finds a port of the loopback for a program that can't be told to take any.
import { createServer } from 'node:net'

/** Below those that Linux, macOS and Kubernetes give out by themselves, to servers that take any, to clients, to Services. */
const [LOWEST, HIGHEST] = [10_000, 29_999]

/**
 * A port that was free a moment ago. Nobody is given it before the program listens, and a client that tries it until then
 * can't be connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1))
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
