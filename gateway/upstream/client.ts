// Speaks to engines through undici: one dispatch a call, told to a handler; and the health probe.
import { Readable } from 'node:stream'
import { buildConnector, type Dispatcher, errors, Pool, request } from 'undici'
import type { Call, CallBody, Endpoint, EngineHandler, Headers, Lease } from '../call.ts'
import { ENGINE_HEALTH_PATH } from '../contract.ts'
import { toEngineHeaders } from './headers.ts'

export interface ClientOptions {
  readonly connectMs: number
  /** How long an idle connection is kept; shorter than the engine keeps it. */
  readonly poolIdleMs: number
}

export interface Client {
  /** Sends `call` to the leased engine. Everything that happens is told to `handler`; nothing is thrown. */
  open(lease: Lease, call: Call, handler: EngineHandler): void
  /** Whether the engine's health route answers 200 in time. */
  probe(endpoint: Endpoint, timeoutMs: number): Promise<boolean>
  /** Closes the idle connections to an engine that is gone; open answers run on. */
  forget(endpoint: Endpoint): void
  /** Closes everything at once. */
  destroy(): Promise<void>
}

/** Lists have no use here: the first value counts. */
function flatten(headers: Record<string, string | string[] | undefined>): Headers {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value
    if (first !== undefined) flat[name] = first
  }
  return flat
}

/** Turns undici's events into ours; a throw on the way closes the engine's socket and is an error of the exchange. */
function toDispatchHandler(handler: EngineHandler, onStale: (() => void) | undefined): Dispatcher.DispatchHandler {
  let headSeen = false
  return {
    onRequestStart: (controller) => handler.onStart(controller),
    onResponseStart(_controller, status, headers) {
      headSeen = true
      if (status >= 200) handler.onHead(status, flatten(headers))
    },
    onResponseData(_controller, bytes) {
      handler.onData(bytes)
      handler.onReadEnd()
    },
    onResponseEnd: () => handler.onEnd(),
    onResponseError(_controller, cause) {
      if (onStale !== undefined && !headSeen && isStale(cause)) onStale()
      else handler.onError(cause)
    }
  }
}

/** Errors of connections on which something had come before: undici tells those of a reset without the socket. */
const late = new WeakSet<Error>()

function createConnector(connectMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs })
  return (options, callback) =>
    connect(options, (...result) => {
      const socket = result[1]
      socket?.on('error', (cause) => {
        if (socket.bytesRead > 0) late.add(cause)
      })
      callback(...result)
    })
}

const createUndiciPool = (origin: string, { poolIdleMs, connectMs }: ClientOptions) =>
  new Pool(origin, {
    pipelining: 1,
    connections: null,
    keepAliveTimeout: poolIdleMs,
    keepAliveMaxTimeout: poolIdleMs,
    // the watch has the timers: undici's would cut a long prefill and a slow reader
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createConnector(connectMs)
  })

const toRequest = (endpoint: Endpoint, call: Call) =>
  ({ method: 'POST', path: call.path, headers: toEngineHeaders(endpoint, call), body: toBody(call.body) }) as const

/** The rest is not read before undici has a connection to send it on, so that it can still go to another engine. */
const toBody = ({ bytes, rest }: CallBody) =>
  rest === undefined ? bytes : Readable.from(join(bytes, rest), { objectMode: false })

async function* join(bytes: Buffer, rest: Readable): AsyncGenerator<Buffer> {
  yield bytes
  yield* rest
}

/** Sends a request, and once more on another connection where the first was stale. */
function dispatch(pool: Pool, endpoint: Endpoint, call: Call, handler: EngineHandler): void {
  const send = (onStale: (() => void) | undefined) => {
    try {
      pool.dispatch(toRequest(endpoint, call), toDispatchHandler(handler, onStale))
    } catch (cause) {
      handler.onError(cause as Error)
    }
  }
  send(call.body.rest === undefined ? () => send(undefined) : undefined)
}

/**
 * A connection that had carried answers before was closed or reset by the engine as it got one more request: nothing was asked.
 * A new one that breaks within its first head looks the same, so its engine is asked once more, too.
 */
function isStale(cause: Error): boolean {
  return late.has(cause) || (cause instanceof errors.SocketError && (cause.socket?.bytesRead ?? 0) > 0)
}

export function createClient(options: ClientOptions): Client {
  const pools = new Map<string, Pool>()
  const poolOf = ({ origin }: Endpoint) => {
    const pool = pools.get(origin) ?? createUndiciPool(origin, options)
    pools.set(origin, pool)
    return pool
  }
  return {
    open({ endpoint }, call, handler) {
      dispatch(poolOf(endpoint), endpoint, call, handler)
    },
    async probe(endpoint, timeoutMs) {
      try {
        const signal = AbortSignal.timeout(timeoutMs)
        const answer = await request(endpoint.origin + ENGINE_HEALTH_PATH, { dispatcher: poolOf(endpoint), signal })
        await answer.body.dump()
        return answer.statusCode === 200
      } catch {
        return false
      }
    },
    forget(endpoint) {
      const pool = pools.get(endpoint.origin)
      pools.delete(endpoint.origin)
      void pool?.close()
    },
    async destroy() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
      pools.clear()
    }
  }
}
