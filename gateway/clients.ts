// How clients come in: the HTTP server with its routes, the front before it, and WebSockets, all of them to one exchange.
import type { Server as HttpServer } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Catalog } from './admission/catalog.ts'
import { createKeyMemory, type KeyMemory } from './admission/key-memory.ts'
import { createKeys, type Keys } from './admission/keys.ts'
import type { Queue } from './admission/queue.ts'
import { createStreamUrls } from './admission/stream-urls.ts'
import type { Call, RequestRecord, Sink } from './call.ts'
import type { Settings } from './config.ts'
import type { Config } from './contract.ts'
import { createCorsHeaders } from './cors.ts'
import type { Phase } from './drain.ts'
import { GatewayError } from './errors.ts'
import { exchange } from './exchange.ts'
import { type Front, installFront } from './front/front.ts'
import { createHttpDate } from './front/http-date.ts'
import type { KeyFile } from './key-schema.ts'
import { registerConsoleRoutes } from './routes/console.ts'
import { type OpenAiDeps, registerOpenAiRoutes } from './routes/openai.ts'
import { type Readiness, registerOpsRoutes } from './routes/ops.ts'
import { registerStreamRoutes } from './routes/streams.ts'
import { toCall } from './routes/to-call.ts'
import { wantsWebSocket } from './routes/websocket/handshake.ts'
import { acceptWebSockets, type WebSockets } from './routes/websocket/upgrade.ts'
import { answerBrokenRequest, createRequestIds, createServer, readRequestId } from './server.ts'
import type { Journals } from './stream/journals.ts'
import type { Watches } from './stream/watch.ts'
import { logRequest } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Client } from './upstream/client.ts'
import type { Pool } from './upstream/pool.ts'

/** The states of one gateway, each created once. */
export interface States {
  readonly catalog: Catalog
  readonly pool: Pool
  readonly queue: Queue
  readonly watches: Watches
  readonly client: Client
  readonly metrics: Metrics
  readonly journals: Journals
}

export interface ClientsDeps {
  readonly phase: () => Phase
  readonly readiness: () => Readiness
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** The time of day, in ms since 1970. */
  readonly nowEpochMs: () => number
  /** A name that nothing else has. */
  readonly newUuid: () => string
  /** Random bytes that nobody can guess. */
  readonly newSecret: () => Buffer
}

export interface Clients {
  /** Resolves to the address, `http://host:port`. */
  listen(): Promise<string>
  /** Responses that have not left yet, the last bytes for a slow reader included, and WebSockets that have not closed. */
  openResponses(): number
  /** Takes no connection any more, and closes each one that is there when it has nothing to answer. */
  stopListening(): void
  /**
   * Takes other API keys from now on. What has begun goes on; WebSockets whose keys are gone, or have other rights, take nothing
   * new and close once their streams have ended.
   * @returns false if nothing has changed
   */
  replaceKeys(file: KeyFile): Promise<boolean>
  close(): Promise<void>
}

/** What every way in must know. */
interface WayIn {
  readonly newId: () => string
  readonly serving: () => boolean
  readonly onRefused: (request: Refused, error: GatewayError) => void
  readonly nowEpochMs: () => number
}

/** What is known of a request that never became a call. */
type Refused = Pick<FastifyRequest, 'id' | 'method'>

export function serveClients(settings: Settings, states: States, log: Logger, deps: ClientsDeps): Clients {
  const { config } = settings
  const wayIn: WayIn = {
    newId: createRequestIds(deps.newUuid),
    serving: () => deps.phase() === 'serving',
    onRefused: (request, error) => noteRefusal(request, error, states.metrics, log),
    nowEpochMs: deps.nowEpochMs
  }
  const { newId, serving, onRefused } = wayIn
  const { http, openResponses, stopListening } = createServer(config, {
    newId,
    upgrades: wantsWebSocket,
    keepsConnections: serving,
    onRefused
  })
  const keys = createKeys(settings.keyFile)
  const memory = createKeyMemory(keys.authenticate, deps.newSecret())
  const routes = toRouteDeps(settings, states, keys, log, deps)
  if (config.console) registerConsoleRoutes(http)
  registerOpsRoutes(http, { readiness: deps.readiness, metrics: states.metrics })
  registerOpenAiRoutes(http, routes)
  registerStreamRoutes(http, routes)
  const sockets = takeWebSockets(http.server, config, routes, wayIn, states.metrics, log)
  const front = config.clientServer === 'auto' ? openFront(http.server, config, routes, wayIn, memory) : undefined
  return {
    listen: () => http.listen({ ...config.listen }),
    openResponses: () => openResponses() + sockets.size + (front?.openResponses() ?? 0),
    stopListening() {
      stopListening()
      sockets.retire()
      front?.closeIdle()
    },
    replaceKeys: (file) => replaceKeys(file, keys, memory, sockets),
    async close() {
      sockets.close()
      front?.close()
      await http.close()
    }
  }
}

/** A request that never became a call has its line and its count, too. */
function noteRefusal({ id, method }: Refused, error: GatewayError, metrics: Metrics, log: Logger): void {
  const line = { requestId: id, method, code: error.code, status: error.status }
  if (error.code === 'internal_error') log.error({ ...line, err: error.cause }, 'request failed')
  else log.info(line, 'request refused')
  metrics.refuse(error.code)
}

/** The verbs that the routes have in common, and with them the other ways in. */
function toRouteDeps(settings: Settings, states: States, keys: Keys, log: Logger, deps: ClientsDeps): OpenAiDeps {
  const { config } = settings
  const exchangeDeps = {
    ...states,
    open: states.client.open,
    now: deps.now,
    maxAttempts: config.maxAttempts,
    record(record: RequestRecord) {
      states.metrics.record(record)
      logRequest(log, record)
    },
    onFault: (call: Call, cause: unknown) => log.error({ requestId: call.id, err: cause }, 'request failed')
  }
  return {
    catalog: states.catalog,
    authenticate: keys.authenticate,
    takesWork: () => ['serving', 'unready'].includes(deps.phase()),
    now: deps.now,
    createdSeconds: toSeconds(deps.nowEpochMs()),
    stalledMs: config.budget.stalledMs,
    maxUploadBytes: config.maxUploadBytes,
    maxBodyBytes: config.maxBodyBytes,
    newBoundary: () => `sluice-${deps.newUuid()}`,
    countUsage: config.countUsage,
    exchange: (call: Call, sink: Sink) => void exchange(call, sink, exchangeDeps),
    journals: states.journals,
    urls: createStreamUrls(settings.streams.signingKey ?? deps.newSecret(), config.streams.urlMs, deps.nowEpochMs)
  }
}

const toSeconds = (ms: number) => Math.floor(ms / 1000)

function takeWebSockets(
  server: HttpServer,
  { websocket, corsOrigins, maxBodyBytes, budget }: Config,
  routes: OpenAiDeps,
  { newId, onRefused, nowEpochMs }: WayIn,
  metrics: Metrics,
  log: Logger
): WebSockets {
  const options = {
    ...websocket,
    maxMessageBytes: websocket.maxMessageBytes ?? maxBodyBytes,
    origins: corsOrigins,
    pingMs: budget.heartbeatMs,
    stalledMs: budget.stalledMs
  }
  return acceptWebSockets(server, options, {
    ...routes,
    nowSeconds: () => toSeconds(nowEpochMs()),
    requestIdOf: ({ headers }) => readRequestId(headers, newId),
    onRefused,
    onCount: (connections) => metrics.setWebSockets(connections),
    onClosed: (record) => log.info(record, 'websocket closed')
  })
}

async function replaceKeys(file: KeyFile, keys: Keys, memory: KeyMemory, sockets: WebSockets): Promise<boolean> {
  const isChange = await keys.replace(file)
  if (isChange) {
    memory.forget()
    sockets.retireUnless(keys.holds)
  }
  return isChange
}

/** The fast way for plain requests: by the same verbs as the routes, which get whatever it does not take. */
function openFront(server: HttpServer, config: Config, routes: OpenAiDeps, wayIn: WayIn, memory: KeyMemory): Front {
  const { newId, serving, onRefused, nowEpochMs } = wayIn
  const { now } = routes
  const corsHeaders = createCorsHeaders(config.corsOrigins)
  return installFront(
    server,
    { ...config, stalledMs: config.budget.stalledMs },
    {
      now,
      date: createHttpDate(nowEpochMs, now),
      serves: serving,
      identify: memory.identify,
      receive(request) {
        const id = readRequestId(request.headers, newId)
        const { path, headers, body, principal } = request
        const call = toCall({ id, path, headers, body, principal, acceptedAtMs: now() }, routes)
        return { call, headers: corsHeaders(headers.origin) }
      },
      exchange: routes.exchange,
      refuse: answerBrokenRequest,
      onBroken: (headers) =>
        onRefused({ id: readRequestId(headers, newId), method: 'POST' }, new GatewayError('invalid_request'))
    }
  )
}
