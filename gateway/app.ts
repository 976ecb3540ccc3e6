// The composition root: creates every stateful object once, wires them to those who come, and sees them out.
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createBodyBudget } from './admission/bodies.ts'
import { createCatalog } from './admission/catalog.ts'
import { followKeyFile } from './admission/key-file.ts'
import { createQueue } from './admission/queue.ts'
import { type Clients, type States, serveClients } from './clients.ts'
import { loadKeyFileInSlices, type Settings } from './config.ts'
import { type Config, deriveTimeBudget, type PoolConfig } from './contract.ts'
import { drain, type Phase } from './drain.ts'
import { GatewayError } from './errors.ts'
import { createJournals } from './journal-states.ts'
import type { Readiness } from './routes/ops.ts'
import { createWatches } from './stream/watch.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { Client } from './upstream/client.ts'
import { startDiscovery } from './upstream/discovery.ts'
import { watchHealth } from './upstream/health.ts'
import { createPool, type Pool, type PoolDeps } from './upstream/pool.ts'
import { createUpstream } from './upstream/upstream.ts'

/** A gateway that has been put together; `listen` starts it. */
export interface App {
  readonly readiness: () => Readiness
  /** Listens where the configuration says; resolves to the address, `http://host:port`. */
  listen(): Promise<string>
  /** Takes the keys of `keysFile` anew whenever that is another file, until everything is closed. */
  followKeys(): void
  /** Leaves as a pod should, see drain.ts; then everything is closed. */
  drain(): Promise<void>
  /** Closes everything at once. */
  close(): Promise<void>
}

const now = () => performance.now()
const newSecret = () => randomBytes(32)
const sources = { now, nowEpochMs: Date.now, newUuid: randomUUID, newSecret }

export function createApp(settings: Settings, log: Logger): App {
  const { config } = settings
  let phase: Phase = 'serving'
  const states = createStates(settings, log)
  const readiness = () => judgeReadiness(config, states.pool, phase)
  const clients = serveClients(settings, states, log, { ...sources, phase: () => phase, readiness })
  const stops = config.pools.map((pool) => discover(pool, settings, states, log))
  states.metrics.setKeys(Date.now() / 1000)
  const close = async () => {
    for (const stop of stops) stop()
    states.pool.close()
    await clients.close()
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
    followKeys: () => stops.push(followKeys(config, clients, states.metrics, log)),
    listen: () => states.journals.connect().then(clients.listen),
    close,
    async drain() {
      await drain(deriveTimeBudget(config.budget).gateway, {
        onPhase,
        openResponses: () => clients.openResponses() + states.journals.snapshot().running,
        stopListening: clients.stopListening,
        abortAll: () => states.watches.stopAll(new GatewayError('shutting_down')),
        sleep: (ms) => sleep(ms),
        now
      })
      await close()
    }
  }
}

function createStates(settings: Settings, log: Logger): States {
  const { config } = settings
  const catalog = createCatalog(config.pools)
  const pools = new Map(config.pools.map((pool) => [pool.name, pool]))
  const client = createUpstream({
    engineClient: config.engineClient,
    connectMs: config.budget.connectMs,
    poolIdleMs: deriveTimeBudget(config.budget).gateway.poolIdleMs,
    onFallBack: (engine, cause) => log.warn({ engine, cause: cause.message }, 'engine goes the slow way from now on')
  })
  const pool = createPool({
    poolOf: catalog.poolOf,
    maxActiveOf: (name) => must(pools, name).maxActivePerEngine,
    now,
    random: Math.random,
    watchHealth: watchEngines(config, client, log),
    onChange(endpoint, state) {
      log.info({ pool: endpoint.pool, endpoint: endpoint.id, state }, 'engine')
      if (state === 'gone') client.forget(endpoint)
      queue.pump()
    },
    onRoom: () => queue.pump()
  })
  const watches = createWatches(config.budget, { now })
  const queue = createQueue([...pools.keys()], {
    poolOf: catalog.poolOf,
    limitsOf: (name) => must(pools, name),
    roomOf: (name) => pool.room(name),
    inFlightOf: (name) => pool.inFlight(name),
    hasEngine: (name) => pool.healthyCount(name) > 0,
    admitsBody: createBodyBudget(config.maxHeldBytes, watches.heldBytes)
  })
  const gauges = { queues: queue.snapshot, engines: pool.snapshot, journals: () => journals.snapshot() }
  const metrics = createMetrics(gauges, namesOf(config))
  const journals = createJournals(settings, { now, newGatewayId: randomUUID, newSecret }, metrics, log)
  return { catalog, pool, queue, watches, client, metrics, journals }
}

function watchEngines({ healthIntervalMs }: Config, client: Client, log: Logger): PoolDeps['watchHealth'] {
  return (endpoint, onChange) =>
    watchHealth({
      intervalMs: healthIntervalMs,
      probe: (timeoutMs) => client.probe(endpoint, timeoutMs),
      onChange,
      onFailure: (cause) => log.warn({ pool: endpoint.pool, endpoint: endpoint.id, cause }, 'engine is not well')
    })
}

const namesOf = ({ pools }: Config) => pools.flatMap(({ models }) => models.map(({ name }) => name))

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

function followKeys({ keysFile, keysReloadMs }: Config, clients: Clients, metrics: Metrics, log: Logger): () => void {
  return followKeyFile(keysFile, keysReloadMs, {
    load: loadKeyFileInSlices,
    async onKeys(file) {
      const isChange = await clients.replaceKeys(file)
      metrics.setKeys(Date.now() / 1000)
      if (isChange) log.info({ keys: file.keys.length }, 'keys replaced')
    },
    onRefused(cause) {
      metrics.setKeys(undefined)
      log.error({ cause: cause.message }, 'keys could not be replaced; those before stay in force')
    }
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
