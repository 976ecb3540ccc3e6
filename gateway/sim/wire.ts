// One HTTP response of the engine: what has been sent, whether its reader keeps up, and whether it is still there.
import type { ServerResponse } from 'node:http'

/** Headers that uvicorn, vLLM's HTTP server, adds to every response. */
export const SERVER_HEADERS = { server: 'uvicorn' } as const

/** uvicorn stops taking more than this for a reader that does not read. */
const HIGH_WATER_BYTES = 64 * 1024

export interface WireListener {
  /** The reader has caught up. */
  onDrain(): void
  /** The client's socket closed before the answer was over. */
  onGone(): void
}

export interface Wire {
  /** The reader does not keep up: whoever writes should wait for `onDrain`. */
  readonly full: boolean
  /** Nothing can be sent any more: the answer is over, or the client has gone. */
  readonly over: boolean
  /** Sends the head of an event stream, which has no length. */
  openStream(): void
  /** Sends one event, or whatever `text` is, by itself. */
  write(text: string): void
  /** Ends a stream. */
  end(): void
  /** Answers in one piece. */
  answer(status: number, json: string): void
  /** Promises the whole of `json`, sends half of it and closes the connection. */
  answerHalf(json: string): void
  /** Resets the connection (RST), as a process that is killed. */
  reset(): void
}

export interface WireOptions {
  readonly listener: WireListener
  /** How long nothing may be sent before a comment is; 0 sends none. */
  readonly keepAliveMs: number
}

export function createWire(response: ServerResponse, { listener, keepAliveMs }: WireOptions): Wire {
  let over = false
  let full = false
  let keepAlive: NodeJS.Timeout | undefined
  const finish = (last: () => void) => {
    if (over) return
    over = true
    clearInterval(keepAlive)
    last()
  }
  const send = (text: string) => {
    if (over) return
    keepAlive?.refresh()
    response.write(text)
    full = response.writableLength > HIGH_WATER_BYTES
  }
  response.on('drain', () => {
    full = false
    listener.onDrain()
  })
  response.on('close', () => finish(() => listener.onGone()))
  return {
    get full() {
      return full
    },
    get over() {
      return over
    },
    openStream() {
      if (over) return
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...SERVER_HEADERS })
      response.flushHeaders()
      if (keepAliveMs > 0) keepAlive = setInterval(() => send(': keep-alive\n\n'), keepAliveMs)
    },
    write: send,
    end: () => finish(() => response.end()),
    answer: (status, json) => finish(() => answerJson(response, status, json)),
    answerHalf: (json) => finish(() => sendHalf(response, json)),
    // a turn later, when what was written in this one has gone out
    reset: () => finish(() => setImmediate(() => response.socket?.resetAndDestroy()))
  }
}

const jsonHeaders = (length: number) => ({
  'content-type': 'application/json',
  'content-length': length,
  ...SERVER_HEADERS
})

function sendHalf(response: ServerResponse, json: string): void {
  const bytes = Buffer.from(json)
  response.writeHead(200, jsonHeaders(bytes.length))
  response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.end())
}

/** Sends a JSON response in one piece. */
export function answerJson(response: ServerResponse, status: number, json: string): void {
  const bytes = Buffer.from(json)
  response.writeHead(status, jsonHeaders(bytes.length)).end(bytes)
}
