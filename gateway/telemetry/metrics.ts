// The process's Prometheus metrics, every label from a bounded set.
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { RequestRecord } from '../call.ts'
import { METRICS } from '../contract.ts'
import type { ErrorCode } from '../errors.ts'
import { createCounter, createHistogram, type Family } from './series.ts'

/** What the gauges show, read only when somebody asks for the metrics. */
export interface MetricSources {
  queues(): { pool: string; queued: number; active: number }[]
  engines(): readonly {
    readonly endpoint: { readonly id: string; readonly pool: string }
    readonly healthy: boolean
    readonly inFlight: number
    readonly maxActive: number
    readonly attempts: Readonly<Record<'ok' | 'failed' | 'full', number>>
  }[]
  journals(): { running: number; finished: number; viewers: number; bytes: number }
}

export interface Metrics {
  readonly contentType: string
  record(record: RequestRecord): void
  /** Counts a request that was refused before it became a call; `code` is an error code of errors.ts. */
  refuse(code: string): void
  /** Counts a resumable stream that has ended; `state` is how. */
  endJournal(state: string): void
  /** Counts one reader's visit to a resumable stream. */
  endView(end: string, resumed: boolean): void
  /** Counts what Redis could not do. */
  failSharing(): void
  /** Tells how many WebSockets are open. */
  setWebSockets(count: number): void
  /** Tells that the file of keys was taken at `epochSeconds`, or, without a time, that it could not be. */
  setKeys(epochSeconds: number | undefined): void
  /** The text exposition of everything. */
  render(): Promise<string>
}

/** OpenTelemetry's advised buckets, in seconds, each family by its semantic conventions. */
const DURATION_BUCKETS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36
]
const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120
]
const PER_TOKEN_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const TOKEN_BUCKETS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576]
const QUEUE_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]

const MODEL = 'gen_ai_request_model'
const OPERATION = 'gen_ai_operation_name'
const TOKEN_TYPE = 'gen_ai_token_type'
const ERROR = 'error_type'

/** How the gateway itself ends a request: by these codes of errors.ts. */
const ENDINGS: readonly ErrorCode[] = [
  'engine_refused',
  'queue_full',
  'memory_full',
  'queue_timeout',
  'engine_overloaded',
  'no_engine',
  'shutting_down',
  'upstream_error',
  'ttft_timeout',
  'idle_timeout',
  'stream_timeout',
  'slow_reader',
  'internal_error'
]

/** @param models those of the configuration: their series begin at zero, for a rate sees nothing of a series' first value */
export function createMetrics(sources: MetricSources, models: readonly string[]): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const record = createRequestMetrics(registry, models)
  createGauges(registry, sources)
  createEngineMetrics(registry, sources)
  const refusals = register(
    registry,
    createCounter({
      name: METRICS.refusals,
      help: 'Requests refused before they became a call.',
      labelNames: ['code']
    })
  )
  for (const code of ['missing_api_key', 'invalid_api_key']) refusals.series(code).add(0)
  const webSockets = new Gauge({ name: METRICS.webSockets, help: 'Open WebSockets.', registers: [registry] })
  return {
    contentType: registry.contentType,
    record,
    refuse: (code) => refusals.series(code).add(1),
    ...createJournalMetrics(registry),
    setWebSockets: (count) => webSockets.set(count),
    setKeys: createKeyMetrics(registry),
    render: () => registry.metrics()
  }
}

/** prom-client's own counters and histograms hash an object of labels each time, which took 6 µs of a request. */
function register<S>(registry: Registry, family: Family<S>): Family<S> {
  registry.registerMetric(family as unknown as Metric)
  return family
}

function createRequestMetrics(registry: Registry, models: readonly string[]): (record: RequestRecord) => void {
  const counter = (name: string, help: string, labelNames: string[]) =>
    register(registry, createCounter({ name, help, labelNames }))
  const requests = counter(METRICS.requests, 'Requests by how they ended.', [MODEL, 'outcome', 'code'])
  const tokens = counter(METRICS.tokens, 'Output tokens relayed.', [MODEL])
  const retries = counter(METRICS.retries, 'Requests sent once more, to any engine.', [MODEL])
  const observe = createHistograms(registry)
  for (const model of models) {
    for (const kind of ['complete', 'client_gone']) requests.series(model, kind, '').add(0)
    for (const code of ENDINGS) requests.series(model, 'error', code).add(0)
    tokens.series(model).add(0)
    retries.series(model).add(0)
  }
  return (record) => {
    const { call, outcome } = record
    const code = outcome.kind === 'error' ? outcome.error.code : ''
    // the model is one of the configuration's: an unknown one was refused before there was a call
    requests.series(call.model, outcome.kind, code).add(1)
    tokens.series(call.model).add(record.outputTokens)
    if (record.attempts > 1) retries.series(call.model).add(record.attempts - 1)
    observe(record, outcome.kind === 'client_gone' ? 'client_gone' : code)
  }
}

function createJournalMetrics(registry: Registry): Pick<Metrics, 'endJournal' | 'endView' | 'failSharing'> {
  const counter = (name: string, help: string, labelNames: string[]) =>
    register(registry, createCounter({ name, help, labelNames }))
  const ended = counter(METRICS.journalsEnded, 'Resumable streams by how they ended.', ['state'])
  const views = counter(METRICS.views, 'Visits of readers to resumable streams.', ['end', 'resumed'])
  const sharing = counter(METRICS.sharingErrors, 'What Redis could not do for resumable streams.', [])
  // a rate needs the zero before the first one
  for (const state of ['complete', 'failed', 'cancelled']) ended.series(state).add(0)
  for (const end of ['complete', 'left', 'cut'])
    for (const resumed of ['false', 'true']) views.series(end, resumed).add(0)
  sharing.series().add(0)
  return {
    endJournal: (state) => ended.series(state).add(1),
    endView: (end, resumed) => views.series(end, String(resumed)).add(1),
    failSharing: () => sharing.series().add(1)
  }
}

function createKeyMetrics(registry: Registry): Metrics['setKeys'] {
  const registers = [registry]
  const help = 'Whether the newest file of API keys is in force.'
  const isNewest = new Gauge({ name: METRICS.keysReloaded, help, registers })
  const at = new Gauge({ name: METRICS.keysReloadedAt, help: 'When the keys in force were read.', registers })
  return (epochSeconds) => {
    isNewest.set(epochSeconds === undefined ? 0 : 1)
    if (epochSeconds !== undefined) at.set(epochSeconds)
  }
}

function createHistograms(registry: Registry): (record: RequestRecord, errorType: string) => void {
  const histogram = (name: string, help: string, labelNames: string[], bounds: readonly number[]) =>
    register(registry, createHistogram({ name, help, labelNames }, bounds))
  const duration = histogram(
    METRICS.requestDuration,
    'Time of a request, in seconds.',
    [OPERATION, MODEL, ERROR],
    DURATION_BUCKETS
  )
  const firstToken = histogram(
    METRICS.timeToFirstToken,
    'Time from acceptance to the first output, in seconds.',
    [OPERATION, MODEL],
    FIRST_TOKEN_BUCKETS
  )
  const perToken = histogram(
    METRICS.timePerOutputToken,
    'Mean time between the output tokens of a request, in seconds.',
    [OPERATION, MODEL],
    PER_TOKEN_BUCKETS
  )
  const usage = histogram(METRICS.tokenUsage, 'Tokens of a request.', [OPERATION, MODEL, TOKEN_TYPE], TOKEN_BUCKETS)
  const queue = histogram(METRICS.queueDuration, 'Wait for a free engine, in seconds.', [MODEL], QUEUE_BUCKETS)
  return (record, errorType) => {
    const { operation, model } = record.call
    duration.series(operation, model, errorType).observe(record.durationMs / 1000)
    queue.series(model).observe(record.queuedMs / 1000)
    if (record.ttftMs !== undefined) firstToken.series(operation, model).observe(record.ttftMs / 1000)
    if (record.interTokenMs !== undefined) perToken.series(operation, model).observe(record.interTokenMs / 1000)
    if (record.promptTokens !== undefined) usage.series(operation, model, 'input').observe(record.promptTokens)
    if (record.outputTokens > 0) usage.series(operation, model, 'output').observe(record.outputTokens)
  }
}

function createGauges(registry: Registry, sources: MetricSources): void {
  const gauge = (name: string, help: string, labelNames: string[], collect: (this: Gauge) => void) =>
    new Gauge({ name, help, labelNames, registers: [registry], collect })
  gauge(METRICS.activeRequests, 'Requests that hold a slot at an engine.', ['pool'], function () {
    for (const { pool, active } of sources.queues()) this.set({ pool }, active)
  })
  gauge(METRICS.queuedRequests, 'Requests that wait for a slot.', ['pool'], function () {
    for (const { pool, queued } of sources.queues()) this.set({ pool }, queued)
  })
  gauge(METRICS.journals, 'Resumable streams of this gateway.', ['state'], function () {
    const { running, finished } = sources.journals()
    this.set({ state: 'running' }, running)
    this.set({ state: 'finished' }, finished)
  })
  gauge(METRICS.viewers, 'Readers of resumable streams.', [], function () {
    this.set(sources.journals().viewers)
  })
  gauge(METRICS.journalBytes, 'Events of resumable streams in memory, in bytes.', [], function () {
    this.set(sources.journals().bytes)
  })
}

/** Series of engines go when the engine goes: the addresses of a year of rollouts are too many. */
function createEngineMetrics(registry: Registry, { engines }: MetricSources): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: (engine: ReturnType<typeof engines>[number]) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['pool', 'endpoint'],
      registers,
      collect() {
        this.reset()
        for (const engine of engines())
          this.set({ pool: engine.endpoint.pool, endpoint: engine.endpoint.id }, read(engine))
      }
    })
  gauge(METRICS.engineInFlight, 'Requests at one engine.', ({ inFlight }) => inFlight)
  gauge(METRICS.engineMaxActive, 'Requests that one engine gets at once.', ({ maxActive }) => maxActive)
  gauge(METRICS.engineUp, 'Whether one engine is healthy.', ({ healthy }) => (healthy ? 1 : 0))
  new Counter({
    name: METRICS.engineAttempts,
    help: 'How often one engine was asked, by how it did.',
    labelNames: ['pool', 'endpoint', 'result'],
    registers,
    collect() {
      this.reset()
      for (const { endpoint, attempts } of engines())
        for (const [result, count] of Object.entries(attempts))
          this.inc({ pool: endpoint.pool, endpoint: endpoint.id, result }, count)
    }
  })
}
