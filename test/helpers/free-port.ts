// Finds a port of the loopback for a program that can't be told to take any.
import { createServer } from 'node:net'

/** Those of this process: a program that was given one may not listen on it yet when the next is asked for. */
const given = new Set<number>()

/** A port that was free a moment ago, and that no other call in this process has had. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}
