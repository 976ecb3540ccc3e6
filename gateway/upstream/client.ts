// Speaks to engines through undici: one dispatch a call, told to a handler; and the health probe.
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buildConnector, type Dispatcher, Pool, request, Client as UndiciClient } from 'undici'
import type { Call, CallBody, Endpoint, EngineHandler, Headers, Lease } from '../call.ts'
import { ENGINE_HEALTH_PATH } from '../contract.ts'
import { toEngineHeaders } from './headers.ts'
import { MAX_HEAD_BYTES } from './stream-head.ts'

export interface ClientOptions {
  readonly connectMs: number
  /** How long an idle connection is kept; shorter than the engine keeps it. */
  readonly poolIdleMs: number
}

export interface Client {
  /** Sends `call` to the leased engine. Everything that happens is told to `handler`; nothing is thrown. */
  open(lease: Lease, call: Call, handler: EngineHandler): void
  /** Asks the engine's health route. Resolves to why the engine is not well; to nothing where it answers 200 in time. */
  probe(endpoint: Endpoint, timeoutMs: number): Promise<string | undefined>
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

/** One connection to an engine, and after its end another: it carries one request at a time. */
class SingleConnection extends UndiciClient {
  /** The connection has carried an answer to its end: its engine may give it up at the very moment of the next request. */
  kept = false
  #socket: Socket | undefined

  constructor(origin: URL, options: UndiciClient.Options, connect: buildConnector.connector) {
    super(origin, {
      ...options,
      connect: (to, told) =>
        connect(to, (...result) => {
          this.kept = false
          this.#socket = result[1] ?? undefined
          told(...result)
        })
    })
    // without requests: the last one's answer has ended, or its connection has, after which comes another
    this.on('drain', () => {
      this.kept = true
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Teller) handler.connection = this
    return super.dispatch(options, handler)
  }

  /** Behind a request that its engine answered without taking all of it the next one would wait: then the connection ends. */
  answered(): void {
    if (this.#socket !== undefined && this.#socket.writableLength > 0) this.#socket.destroy()
  }
}

/** Turns undici's events into ours; a throw on the way closes the engine's socket and is an error of the exchange. */
class Teller implements Dispatcher.DispatchHandler {
  connection: SingleConnection | undefined
  readonly #handler: EngineHandler
  readonly #onStale: (() => void) | undefined
  #headSeen = false

  /** @param onStale told instead of the handler when a kept connection turned out to be given up: nothing was asked */
  constructor(handler: EngineHandler, onStale: (() => void) | undefined) {
    this.#handler = handler
    this.#onStale = onStale
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#handler.onStart(controller)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#headSeen = true
    if (status >= 200) this.#handler.onHead(status, flatten(headers))
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Buffer): void {
    this.#handler.onData(bytes)
    this.#handler.onReadEnd()
  }

  onResponseEnd(): void {
    this.connection?.answered()
    this.#handler.onEnd()
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error & { readonly code?: string }): void {
    const isStale = this.connection?.kept === true && !this.#headSeen && BROKEN.has(cause.code ?? '')
    if (isStale && this.#onStale !== undefined) this.#onStale()
    else this.#handler.onError(cause)
  }
}

/** How a connection breaks. */
const BROKEN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

function createUndiciPool(origin: string, { poolIdleMs, connectMs }: ClientOptions): Pool {
  // HTTP/2 would put all of an engine's requests on one connection
  const allowH2 = false
  const connect = buildConnector({ timeout: connectMs, allowH2 })
  return new Pool(origin, {
    factory: (url, options) => new SingleConnection(url, options, connect),
    allowH2,
    pipelining: 1,
    connections: null,
    keepAliveTimeout: poolIdleMs,
    keepAliveMaxTimeout: poolIdleMs,
    // the watch has the timers: undici's would cut a long prefill and a slow reader
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES
  })
}

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
      pool.dispatch(toRequest(endpoint, call), new Teller(handler, onStale))
    } catch (cause) {
      handler.onError(cause as Error)
    }
  }
  send(call.body.rest === undefined ? () => send(undefined) : undefined)
}

function describeFailure(
  { name, message, code }: Error & { readonly code?: string | number },
  timeoutMs: number
): string {
  if (name === 'TimeoutError') return `${ENGINE_HEALTH_PATH} did not answer within ${timeoutMs} ms`
  // one that was tried at several addresses has a code alone
  return message || String(code)
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
        return answer.statusCode === 200 ? undefined : `${ENGINE_HEALTH_PATH} answered ${answer.statusCode}`
      } catch (cause) {
        return describeFailure(cause as Error & { readonly code?: string | number }, timeoutMs)
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
