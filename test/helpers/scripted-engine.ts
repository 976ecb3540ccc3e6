// An engine that answers with the very bytes a test gives it, cut where the test wants: what no HTTP server would write.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

export interface ScriptedRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: ReturnType<typeof JSON.parse>
  readonly socket: Socket
  /** Which connection it came on, counted from 0. */
  readonly connection: number
}

/** What the engine does with a request for a generation. */
export type Script = (request: ScriptedRequest) => void | Promise<void>

export interface ScriptedEngine extends AsyncDisposable {
  readonly url: string
  readonly requests: ScriptedRequest[]
  /** Replaces what is done with the next requests. */
  script: Script
}

/** The head of an event stream in chunks, as uvicorn writes it. */
export const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n'

export const LAST_CHUNK = '0\r\n\r\n'

/** One HTTP chunk. */
export function chunkOf(payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

/** `bytes` in pieces of `size`, the last one shorter. */
export const cutEvery = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

/** A whole event-stream response: `payload` in HTTP chunks of `chunkBytes` each. */
export function streamResponse(payload: string, chunkBytes = Number.MAX_SAFE_INTEGER): Buffer {
  const chunks = cutEvery(Buffer.from(payload), Math.min(chunkBytes, Buffer.byteLength(payload))).map(chunkOf)
  return Buffer.concat([Buffer.from(STREAM_HEAD), ...chunks, Buffer.from(LAST_CHUNK)])
}

/** Writes, and resolves when the socket takes more or has closed. */
export function writeTo(socket: Socket, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || socket.write(bytes)) return resolve()
    const done = () => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.once('drain', done).once('close', done)
  })
}

/** Writes each piece by itself, so that it is a read of its own where the kernel allows. */
export async function writePieces(socket: Socket, pieces: readonly (Buffer | string)[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    await writeTo(socket, piece)
    await turn()
  }
}

/** Answers `/health` by itself and every POST by `script`. */
export async function startScriptedEngine(script: Script): Promise<ScriptedEngine> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    const connection = connections++
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    readRequests(socket, (start, headers, body) => {
      if (start.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      else {
        const request = { headers, body: JSON.parse(body), socket, connection }
        engine.requests.push(request)
        void engine.script(request)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const engine: ScriptedEngine = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    script,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
  return engine
}

type OnRequest = (start: string, headers: Record<string, string>, body: string) => void

/** Tells of each whole request on a connection: its first line, its headers by lower-case name, its body. */
function readRequests(socket: Socket, onRequest: OnRequest): void {
  let held = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes])
    for (let end = held.indexOf('\r\n\r\n'); end !== -1; end = held.indexOf('\r\n\r\n')) {
      const [start = '', ...lines] = held.toString('latin1', 0, end).split('\r\n')
      const headers = Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])
      )
      const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
      if (held.length < bodyEnd) return
      const body = held.toString('utf8', end + 4, bodyEnd)
      held = held.subarray(bodyEnd)
      onRequest(start, headers, body)
    }
  })
}
