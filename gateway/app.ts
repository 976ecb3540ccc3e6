// The composition root: creates every stateful object once, wires them, and registers the routes.
import { randomUUID } from 'node:crypto'
import type { Server as HttpServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { createCatalog } from './admission/catalog.ts'
import { createKeys } from './admission/keys.ts'
import { createQueue, type Queue } from './admission/queue.ts'
import type { Call, RequestRecord } from './call.ts'
import type { Settings } from './config.ts'
import { type Config, deriveTimeBudget, HEADERS, type PoolConfig } from './contract.ts'
import { createCorsHeaders } from './cors.ts'
import { drain, type Phase } from './drain.ts'
import { GatewayError } from './errors.ts'
import { exchange } from './exchange.ts'
import { type Front, installFront } from './front/front.ts'
import { createHttpDate } from './front/http-date.ts'
import { type OpenAiDeps, registerOpenAiRoutes } from './routes/openai.ts'
import { type Readiness, registerOpsRoutes } from './routes/ops.ts'
import { toCall } from './routes/to-call.ts'
import { answerBrokenRequest, createServer, readRequestId } from './server.ts'
import { createWatches, type Watches } from './stream/watch.ts'
import { logRequest } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { Client } from './upstream/client.ts'
import { startDiscovery } from './upstream/discovery.ts'
import { watchHealth } from './upstream/health.ts'
import { createPool, type Pool } from './upstream/pool.ts'
import { createUpstream } from './upstream/upstream.ts'

/** A gateway that has been put together; `listen` starts it. */
export interface App {
  readonly readiness: () => Readiness
  /** Listens where the configuration says; resolves to the address, `http://host:port`. */
  listen(): Promise<string>
  /** Leaves as a pod should, see drain.ts; then everything is closed. */
  drain(): Promise<void>
  /** Closes everything at once. */
  close(): Promise<void>
}

/** The states of one gateway, each created once. */
interface States {
  readonly pool: Pool
  readonly queue: Queue
  readonly watches: Watches
  readonly client: Client
  readonly metrics: Metrics
}

const now = () => performance.now()
const newId = () => `req_${randomUUID()}`

export function createApp(settings: Settings, log: Logger): App {
  const { config } = settings
  let phase: Phase = 'serving'
  const states = createStates(config, log)
  const clients = serveClients(settings, states, log, () => phase)
  const readiness = () => judgeReadiness(config, states.pool, phase)
  registerOpsRoutes(clients.http, { readiness, metrics: states.metrics })
  const stops = config.pools.map((pool) => discover(pool, settings, states, log))
  const close = async () => {
    for (const stop of stops) stop()
    states.pool.close()
    states.watches.close()
    await clients.close()
    await states.client.destroy()
  }
  const onPhase = (next: Phase) => {
    phase = next
    log.info({ phase, openRequests: states.watches.size }, 'drain')
  }
  return {
    readiness,
    listen: () => clients.http.listen({ ...config.listen }),
    close,
    async drain() {
      await drain(deriveTimeBudget(config.budget).gateway, {
        onPhase,
        openResponses: clients.openResponses,
        stopListening: clients.stopListening,
        abortAll: () => states.watches.stopAll(new GatewayError('shutting_down')),
        sleep: (ms) => sleep(ms)
      })
      await close()
    }
  }
}

/** The HTTP server with the routes that want a key, and the front before it. */
function serveClients(settings: Settings, states: States, log: Logger, phase: () => Phase) {
  const { config } = settings
  const serving = () => phase() === 'serving'
  const onRefused = (request: Refused, error: GatewayError) => noteRefusal(request, error, states.metrics, log)
  const { http, openResponses } = createServer(config, { newId, keepsConnections: serving, onRefused })
  const openAi = toOpenAiDeps(settings, states, log, () => serving() || phase() === 'unready')
  registerOpenAiRoutes(http, openAi)
  const front =
    config.clientServer === 'auto' ? openFront(http.server, config, openAi, { serving, onRefused }) : undefined
  return {
    http,
    openResponses: () => openResponses() + (front?.openResponses() ?? 0),
    stopListening() {
      http.server.close()
      front?.closeIdle()
    },
    async close() {
      front?.close()
      await http.close()
    }
  }
}

/** What is known of a request that never became a call. */
type Refused = Pick<FastifyRequest, 'id' | 'method'>

/** A request that never became a call has its line and its count, too. */
function noteRefusal({ id, method }: Refused, error: GatewayError, metrics: Metrics, log: Logger): void {
  const line = { requestId: id, method, code: error.code, status: error.status }
  if (error.code === 'internal_error') log.error({ ...line, err: error.cause }, 'request failed')
  else log.info(line, 'request refused')
  metrics.refuse(error.code)
}

function createStates(config: Config, log: Logger): States {
  const { poolOf } = createCatalog(config.pools)
  const pools = new Map(config.pools.map((pool) => [pool.name, pool]))
  const client = createUpstream({
    engineClient: config.engineClient,
    connectMs: config.budget.connectMs,
    poolIdleMs: deriveTimeBudget(config.budget).gateway.poolIdleMs,
    onFallBack: (endpoint, cause) =>
      log.warn({ endpoint: endpoint.id, cause: cause.message }, 'engine goes the slow way from now on')
  })
  const pool = createPool({
    poolOf,
    maxActiveOf: (name) => must(pools, name).maxActivePerEngine,
    now,
    random: Math.random,
    watchHealth: (endpoint, onChange) =>
      watchHealth({
        intervalMs: config.healthIntervalMs,
        probe: (timeoutMs) => client.probe(endpoint, timeoutMs),
        onChange
      }),
    onChange(endpoint, state) {
      log.info({ pool: endpoint.pool, endpoint: endpoint.id, state }, 'engine')
      if (state === 'gone') client.forget(endpoint)
      queue.pump()
    }
  })
  const queue = createQueue([...pools.keys()], {
    poolOf,
    limitsOf: (name) => must(pools, name),
    roomOf: (name) => pool.room(name),
    inFlightOf: (name) => pool.inFlight(name),
    hasEngine: (name) => pool.healthyCount(name) > 0
  })
  const watches = createWatches(config.budget, { now })
  const metrics = createMetrics({ queues: () => queue.snapshot(), engines: () => pool.snapshot() })
  return { pool, queue, watches, client, metrics }
}

function must(pools: ReadonlyMap<string, PoolConfig>, name: string): PoolConfig {
  const pool = pools.get(name)
  if (pool === undefined) throw new Error(`there is no pool ${name}`)
  return pool
}

function discover(pool: PoolConfig, settings: Settings, { pool: engines }: States, log: Logger): () => void {
  return startDiscovery(pool, settings.engineKeys.get(pool.name), {
    onEndpoints: (name, endpoints) => engines.setEndpoints(name, endpoints),
    onError: (name, cause) => log.warn({ pool: name, cause: cause.message }, 'engines could not be looked up')
  })
}

function toOpenAiDeps(settings: Settings, states: States, log: Logger, takesWork: () => boolean): OpenAiDeps {
  const { config } = settings
  const exchangeDeps = {
    ...states,
    open: states.client.open,
    now,
    maxAttempts: config.maxAttempts,
    record(record: RequestRecord) {
      states.metrics.record(record)
      logRequest(log, record)
    },
    onFault: (call: Call, cause: unknown) => log.error({ requestId: call.id, err: cause }, 'request failed')
  }
  return {
    catalog: createCatalog(config.pools),
    authenticate: createKeys(settings.keyFile).authenticate,
    takesWork,
    now,
    createdSeconds: Math.floor(Date.now() / 1000),
    stalledMs: config.budget.stalledMs,
    maxUploadBytes: config.maxUploadBytes,
    maxBodyBytes: config.maxBodyBytes,
    newBoundary: () => `sluice-${randomUUID()}`,
    countUsage: config.countUsage,
    exchange: (call, sink) => void exchange(call, sink, exchangeDeps)
  }
}

interface FrontEvents {
  readonly serving: () => boolean
  readonly onRefused: (request: Refused, error: GatewayError) => void
}

/** The fast way for plain requests: by the same verbs as the routes, which get whatever it does not take. */
function openFront(server: HttpServer, config: Config, openAi: OpenAiDeps, deps: FrontEvents): Front {
  const corsHeaders = createCorsHeaders(config.corsOrigins)
  return installFront(
    server,
    { ...config, stalledMs: config.budget.stalledMs },
    {
      now,
      date: createHttpDate(Date.now),
      serves: deps.serving,
      authenticate: openAi.authenticate,
      receive(request) {
        const id = readRequestId(request.headers, newId)
        const call = toCall({ ...request, id, acceptedAtMs: now() }, openAi)
        const headers: Record<string, string> = { [HEADERS.requestId]: id, ...corsHeaders(request.headers.origin) }
        if (call.maxTokens !== undefined) headers[HEADERS.maxTokens] = String(call.maxTokens)
        return { call, headers }
      },
      exchange: openAi.exchange,
      refuse: answerBrokenRequest,
      onBroken(headers) {
        const id = readRequestId(headers, newId)
        deps.onRefused({ id, method: 'POST' }, new GatewayError('invalid_request'))
      }
    }
  )
}

/** Ready means: a request for any model of the configuration would find an engine, or may wait for one. */
function judgeReadiness(config: Config, pool: Pool, phase: Phase): Readiness {
  const reasons = config.pools
    .filter(({ name, waitForEngine }) => !waitForEngine && pool.healthyCount(name) === 0)
    .map(({ name, models }) => `pool ${name} has no healthy engine (${models.length} models)`)
  if (phase !== 'serving') reasons.unshift('the gateway is shutting down')
  return { ready: reasons.length === 0, reasons }
}
