// A simulated vLLM: an HTTP server with vLLM's routes, framing, metrics and pace, that can be told to misbehave.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createFaultBox, type Fault } from './faults.ts'
import { createMetrics } from './metrics.ts'
import { type Settings, type SimOptions, settle } from './options.ts'
import { findPage, isAuthorized, type PageSource } from './pages.ts'
import { createPrefixCache } from './prefix-cache.ts'
import { createRandom } from './random.ts'
import { refusalBody } from './refusal.ts'
import { Scheduler } from './scheduler.ts'
import { createStatsBook, type SimStats } from './stats.ts'
import { createFingerprint, isWorkPath, receive, type Visit, type VisitDeps } from './visit.ts'
import { createVocabulary } from './vocabulary.ts'
import { answerJson, SERVER_HEADERS } from './wire.ts'

export type { Fault } from './faults.ts'
export type { SimOptions } from './options.ts'
export type { Pace } from './pace.ts'
export type { SimAbort, SimRequest, SimStats } from './stats.ts'

export interface SimDeps {
  /** Monotonic, in ms. @default performance.now */
  readonly clock?: () => number
  /** The time of day, in ms since 1970; it stands in `created`. @default by the clock of the process */
  readonly now?: () => number
}

export interface SimEngine extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** Live: each reading is of now. */
  readonly stats: SimStats
  /** Replaces the faults that every request may meet. */
  setFaults(faults: readonly Fault[]): void
  /** False makes `/health` answer 503; requests are served all the same. */
  setHealthy(isHealthy: boolean): void
  /**
   * As SIGTERM: new requests get the finish reason `abort`, running ones may finish within `shutdownTimeoutMs` and then get
   * it too. Resolves when the server is closed.
   */
  shutdown(): Promise<void>
  /** Ends at once and closes every socket, as a process that is killed. */
  close(): Promise<void>
}

/** After an abort, a reader that does not take its last bytes is not waited for any longer. */
const FLUSH_MS = 1_000
/** uvicorn's, as vLLM sets it (`VLLM_HTTP_TIMEOUT_KEEP_ALIVE`). */
const KEEP_ALIVE_MS = 5_000

function createVisitDeps(settings: Settings, { clock, now }: SimDeps, isDraining: () => boolean): VisitDeps {
  const metrics = createMetrics(settings.models[0] ?? '', settings.maxModelLen)
  const time = clock ?? (() => performance.now())
  const scheduler = new Scheduler(settings, {
    clock: time,
    random: createRandom('pace', settings.seed),
    prefixCache: createPrefixCache(settings.blockSize, settings.kvBlocks),
    observer: metrics
  })
  return {
    settings,
    scheduler,
    metrics,
    isDraining,
    book: createStatsBook(),
    faults: createFaultBox(settings.faults, createRandom('faults', settings.seed)),
    clock: time,
    now: now ?? (() => performance.timeOrigin + performance.now()),
    random: createRandom('ids', settings.seed),
    vocabulary: createVocabulary(),
    fingerprint: createFingerprint(createRandom('fingerprint', ...settings.models))
  }
}

class Engine implements SimEngine {
  readonly stats: SimStats
  readonly #deps: VisitDeps
  readonly #server: Server
  readonly #pages: PageSource
  readonly #visits = new Set<Visit>()
  readonly #sockets = new Set<Socket>()
  #isHealthy = true
  #isDraining = false
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor(settings: Settings, deps: SimDeps) {
    this.#deps = createVisitDeps(settings, deps, () => this.#isDraining)
    this.stats = this.#createStats()
    this.#pages = {
      settings,
      createdS: Math.floor(this.#deps.now() / 1000),
      isHealthy: () => this.#isHealthy && !this.#deps.faults.isDead,
      load: () => this.#visits.size,
      metrics: () => this.#deps.metrics.format(this.stats, settings.kvBlocks)
    }
    this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (incoming, response) =>
      this.#answer(incoming, response)
    )
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#listeningPort
  }

  get url(): string {
    const { host } = this.#deps.settings
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`
  }

  /** Kept for those who ask after the server was closed. */
  #listeningPort = 0

  async listen(): Promise<void> {
    const { port, host } = this.#deps.settings
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
    this.#listeningPort = this.port
  }

  setFaults(faults: readonly Fault[]): void {
    this.#deps.faults.set(faults)
  }

  setHealthy(isHealthy: boolean): void {
    this.#isHealthy = isHealthy
  }

  async shutdown(): Promise<void> {
    this.#isDraining = true
    await this.#idle(this.#deps.settings.shutdownTimeoutMs)
    for (const visit of this.#visits) visit.abort()
    await this.#idle(FLUSH_MS)
    await this.close()
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#deps.scheduler.stop()
      for (const visit of this.#visits) visit.drop()
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Resolves when no response is open, or after `ms`. */
  #idle(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#onIdle = () => {
        if (this.#visits.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      this.#onIdle()
    })
  }

  #answer(incoming: IncomingMessage, response: ServerResponse): void {
    const path = incoming.url?.split('?', 1)[0] ?? '/'
    const { apiKey } = this.#deps.settings
    if (!isAuthorized(path, incoming.headers.authorization, apiKey)) {
      answerJson(response, 401, '{"error":"Unauthorized"}')
      return
    }
    const page = findPage(path)
    const method = page === undefined ? 'POST' : 'GET'
    if (page === undefined && !isWorkPath(path)) refuse(response, 404, 'Not Found')
    else if (incoming.method !== method) refuse(response, 405, 'Method Not Allowed')
    else if (page === undefined) this.#visit(incoming, response, path)
    else {
      const { status, type, body } = page(this.#pages)
      response.writeHead(status, { 'content-type': type, ...SERVER_HEADERS }).end(body)
    }
  }

  #visit(incoming: IncomingMessage, response: ServerResponse, path: string): void {
    receive(incoming, response, path, this.#visits, this.#deps)
    response.once('close', () => this.#onIdle?.())
  }

  #createStats(): SimStats {
    const { scheduler, book, metrics } = this.#deps
    const sockets = this.#sockets
    return {
      get running() {
        return scheduler.running
      },
      get waiting() {
        return scheduler.waiting
      },
      get usedKvBlocks() {
        return scheduler.usedBlocks
      },
      get requests() {
        return book.counts.requests
      },
      get generatedTokens() {
        return book.counts.generatedTokens
      },
      get aborted() {
        return book.counts.aborted
      },
      get tokensAfterAbort() {
        return book.counts.tokensAfterAbort
      },
      get preemptions() {
        return metrics.preemptions
      },
      get openSockets() {
        return sockets.size
      },
      aborts: book.aborts,
      recent: book.recent
    }
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  answerJson(response, status, refusalBody({ status, message, param: null }))
}

/** Starts an engine. Rejects when the address is taken. @throws RangeError for options that make no sense */
export async function startSimEngine(options: SimOptions, deps: SimDeps = {}): Promise<SimEngine> {
  const engine = new Engine(settle(options), deps)
  await engine.listen()
  return engine
}
