// The composition root: creates every stateful object once, wires them, and registers the routes.
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { createCatalog } from './admission/catalog.ts'
import { createKeys } from './admission/keys.ts'
import { createQueue, type Queue } from './admission/queue.ts'
import { createStreamUrls } from './admission/stream-urls.ts'
import type { Call, RequestRecord, Sink } from './call.ts'
import type { Settings } from './config.ts'
import { type Config, deriveTimeBudget, type PoolConfig } from './contract.ts'
import { type DrainDeps, drain, type Phase } from './drain.ts'
import { GatewayError } from './errors.ts'
import { exchange } from './exchange.ts'
import { createJournals } from './journal-states.ts'
import { registerConsoleRoutes } from './routes/console.ts'
import { registerOpenAiRoutes } from './routes/openai.ts'
import { type Readiness, registerOpsRoutes } from './routes/ops.ts'
import { registerStreamRoutes } from './routes/streams.ts'
import { wantsWebSocket } from './routes/websocket/handshake.ts'
import { acceptWebSockets, type WebSocketDeps, type WebSockets } from './routes/websocket/upgrade.ts'
import { createServer, readRequestId, type Server } from './server.ts'
import type { Journals } from './stream/journals.ts'
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
  readonly journals: Journals
}

const now = () => performance.now()
const newSecret = () => randomBytes(32)
const nowSeconds = () => Math.floor(Date.now() / 1000)
const newId = () => `req_${randomUUID()}`

export function createApp(settings: Settings, log: Logger): App {
  const { config } = settings
  let phase: Phase = 'serving'
  const states = createStates(settings, log)
  const { http, openResponses } = createServer(config, {
    newId,
    upgrades: wantsWebSocket,
    keepsConnections: () => phase === 'serving',
    onRefused: (request, error) => noteRefusal(request, error, states.metrics, log)
  })
  const readiness = () => judgeReadiness(config, states.pool, phase)
  const takesWork = () => phase === 'serving' || phase === 'unready'
  const sockets = registerRoutes(http, settings, states, log, { readiness, takesWork })
  const stops = config.pools.map((pool) => discover(pool, settings, states, log))
  const close = async () => {
    for (const stop of stops) stop()
    states.pool.close()
    sockets.close()
    await http.close()
    await states.journals.close()
    states.watches.close()
    await states.client.destroy()
  }
  const onPhase = (next: Phase) => {
    phase = next
    log.info({ phase, openRequests: states.watches.size }, 'drain')
    if (phase === 'closing') states.journals.releaseDistant()
  }
  return {
    readiness,
    listen: () => states.journals.connect().then(() => http.listen({ ...config.listen })),
    close,
    async drain() {
      await drain(deriveTimeBudget(config.budget).gateway, {
        onPhase,
        ...waysOut({ http, openResponses }, sockets, states)
      })
      await close()
    }
  }
}

/** What a drain works with: an answer over a WebSocket is open until its connection has closed. */
function waysOut(
  { http, openResponses }: Server,
  sockets: WebSockets,
  { watches, journals }: States
): Omit<DrainDeps, 'onPhase'> {
  return {
    openResponses: () => openResponses() + sockets.size + journals.snapshot().running,
    stopListening() {
      http.server.close()
      sockets.retire()
    },
    abortAll: () => watches.stopAll(new GatewayError('shutting_down')),
    sleep: (ms) => sleep(ms)
  }
}

/** A request that never became a call has its line and its count, too. */
function noteRefusal(
  request: { id: string; method: string },
  error: GatewayError,
  metrics: Metrics,
  log: Logger
): void {
  const line = { requestId: request.id, method: request.method, code: error.code, status: error.status }
  if (error.code === 'internal_error') log.error({ ...line, err: error.cause }, 'request failed')
  else log.info(line, 'request refused')
  metrics.refuse(error.code)
}

function createStates(settings: Settings, log: Logger): States {
  const { config } = settings
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
  const sources = { queues: queue.snapshot, engines: pool.snapshot, journals: () => journals.snapshot() }
  const metrics = createMetrics(sources)
  const journals = createJournals(settings, { now, newGatewayId: randomUUID, newSecret }, metrics, log)
  return { pool, queue, watches: createWatches(config.budget, { now }), client, metrics, journals }
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

function registerRoutes(
  server: FastifyInstance,
  settings: Settings,
  states: States,
  log: Logger,
  { readiness, takesWork }: { readiness: () => Readiness; takesWork: () => boolean }
): WebSockets {
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
  if (config.console) registerConsoleRoutes(server)
  registerOpsRoutes(server, { readiness, metrics: states.metrics })
  const deps = {
    catalog: createCatalog(config.pools),
    authenticate: createKeys(settings.keyFile).authenticate,
    takesWork,
    now,
    stalledMs: config.budget.stalledMs,
    maxUploadBytes: config.maxUploadBytes,
    maxBodyBytes: config.maxBodyBytes,
    newBoundary: () => `sluice-${randomUUID()}`,
    countUsage: config.countUsage,
    exchange: (call: Call, sink: Sink) => void exchange(call, sink, exchangeDeps),
    journals: states.journals,
    urls: createStreamUrls(settings.streams.signingKey ?? newSecret(), config.streams.urlMs, Date.now)
  }
  registerOpenAiRoutes(server, { ...deps, createdSeconds: nowSeconds() })
  registerStreamRoutes(server, deps)
  return takeWebSockets(server, config, states, log, deps)
}

function takeWebSockets(
  server: FastifyInstance,
  { websocket, corsOrigins, maxBodyBytes, budget }: Config,
  states: States,
  log: Logger,
  deps: Omit<WebSocketDeps, 'nowSeconds' | 'requestIdOf' | 'onRefused' | 'onCount' | 'onClosed'>
): WebSockets {
  const options = {
    ...websocket,
    maxMessageBytes: websocket.maxMessageBytes ?? maxBodyBytes,
    origins: corsOrigins,
    pingMs: budget.heartbeatMs,
    stalledMs: budget.stalledMs
  }
  return acceptWebSockets(server.server, options, {
    ...deps,
    nowSeconds,
    requestIdOf: (request) => readRequestId(request, newId),
    onRefused: (request, error) => noteRefusal(request, error, states.metrics, log),
    onCount: (connections) => states.metrics.setWebSockets(connections),
    onClosed: (record) => log.info(record, 'websocket closed')
  })
}

/** Ready means: a request for any model of the configuration would find an engine, or may wait for one. */
function judgeReadiness(config: Config, pool: Pool, phase: Phase): Readiness {
  const reasons = config.pools
    .filter(({ name, waitForEngine }) => !waitForEngine && pool.healthyCount(name) === 0)
    .map(({ name, models }) => `pool ${name} has no healthy engine (${models.length} models)`)
  if (phase !== 'serving') reasons.unshift('the gateway is shutting down')
  return { ready: reasons.length === 0, reasons }
}
