// A small HTTP server in place of an engine, and a handler that writes down what a client tells of its answer.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { EngineControl, EngineHandler, Headers, Lease } from '../../gateway/call.ts'

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface EngineServer extends AsyncDisposable {
  readonly origin: string
  readonly requests: ReceivedRequest[]
  /** How many connections were made so far. */
  connections(): number
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Answers each request, once its body has been read, as `answer` does. */
export async function serveEngine(
  answer: (response: ServerResponse, request: ReceivedRequest) => void
): Promise<EngineServer> {
  const requests: ReceivedRequest[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request
    const received = { method, path, headers, body: await text(request).catch(() => '') }
    requests.push(received)
    answer(response, received)
  })
  let connections = 0
  server.on('connection', () => connections++)
  return {
    origin: await listen(server),
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** Answers each connection's bytes as `answer` does: for answers that Node's own server would not write. */
export async function serveBytes(
  answer: (socket: Socket, bytes: Buffer) => void
): Promise<AsyncDisposable & { readonly origin: string }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => answer(socket, bytes))
  })
  return {
    origin: await listen(server),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

export const leaseOf = (origin: string, engineKey?: string): Lease => ({
  endpoint: { id: new URL(origin).host, origin, pool: 'main', engineKey },
  report() {},
  reportFull() {},
  [Symbol.dispose]() {}
})

/** Writes down what it is told; `over` resolves to `end`, or to the message of the error. */
export class RecordingHandler implements EngineHandler {
  control: EngineControl | undefined
  status: number | undefined
  headers: Headers = {}
  readonly #bytes: Buffer[] = []
  readonly over: Promise<string>
  readonly started: Promise<void>
  readonly answered: Promise<void>
  #resolveOver: (how: string) => void
  #resolveStarted: () => void
  #resolveAnswered: () => void

  constructor() {
    const [over, started, answered] = [
      Promise.withResolvers<string>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>()
    ]
    this.over = over.promise
    this.started = started.promise
    this.answered = answered.promise
    this.#resolveOver = over.resolve
    this.#resolveStarted = started.resolve
    this.#resolveAnswered = answered.resolve
  }

  get text(): string {
    return String(Buffer.concat(this.#bytes))
  }

  onStart(control: EngineControl): void {
    this.control = control
    this.#resolveStarted()
  }

  onHead(status: number, headers: Headers): void {
    this.status = status
    this.headers = headers
    this.#resolveAnswered()
  }

  onData(bytes: Buffer, start = 0, end: number = bytes.length): void {
    this.#bytes.push(Buffer.from(bytes.subarray(start, end)))
  }

  onReadEnd(): void {}

  onEnd(): void {
    this.#resolveOver('end')
  }

  onError(cause: Error): void {
    this.#resolveOver(cause.message || (cause as NodeJS.ErrnoException).code || 'error')
  }
}
