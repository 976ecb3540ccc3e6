// Finds a port of the loopback for a program that can't be told to take any.
import { createServer } from 'node:net'

/**
 * Below those that Linux, macOS and Kubernetes give out by themselves, to servers that take any, to clients, to Services; above
 * those of Kubernetes' own programs.
 */
const [LOWEST, HIGHEST] = [11_000, 29_999]

/** Those of this process: a program that was given one may not listen on it yet when the next is asked for. */
const given = new Set<number>()

/**
 * A port that was free a moment ago, and that no other call in this process has had. Nobody is given it before the program
 * listens, and a client that tries it until then can't be connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1))
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
