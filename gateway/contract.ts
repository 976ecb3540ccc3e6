// What infra/ and the gateway agree on, pure and shared: names, ports, paths, headers, metrics and the configuration's schema.
import { z } from 'zod'
import { type EnginePath, TASKS } from './engine-routes.ts'
import { streamsSchema } from './stream-limits.ts'
import { timeBudgetSchema } from './time-budget.ts'

export { findStreamLimitProblems, streamLimits } from './stream-limits.ts'
export { deriveTimeBudget, type TimeBudget, type TimeBudgetInput, timeBudgetSchema } from './time-budget.ts'

/** TCP ports inside the cluster. 8000 is vLLM's own default. */
export const PORTS = { gateway: 8080, engine: 8000 } as const

/** The gateway's own paths; every other path that it answers is in `ENGINE_ROUTES`. */
export const PATHS = {
  health: '/healthz',
  ready: '/readyz',
  metrics: '/metrics',
  models: '/v1/models',
  streams: '/v1/streams'
} as const

/** The engine's paths that take a WebSocket, too. */
export const WEBSOCKET_PATHS = ['/v1/chat/completions', '/v1/responses'] as const satisfies readonly EnginePath[]
export type WebSocketPath = (typeof WEBSOCKET_PATHS)[number]

/** Where vLLM answers that it is alive (503 once its engine is dead). */
export const ENGINE_HEALTH_PATH = '/health'

/** Header names, lower-case as Node has them. */
export const HEADERS = {
  requestId: 'x-request-id',
  apiKey: 'x-api-key',
  maxTokens: 'x-sluice-max-tokens',
  timing: 'x-sluice-timing',
  /** `1` makes the stream of a POST resumable: its events get an `id:`. */
  resumable: 'x-sluice-resumable',
  /** Where such a stream can be resumed. */
  stream: 'x-sluice-stream'
} as const

/** Where the gateway's pod finds its files; the Deployment mounts them there. */
export const FILES = { config: '/etc/sluice/config.json', keys: '/etc/sluice/keys/keys.json' } as const

/** Environment variables that the gateway reads, each an override of the configuration file. */
export const ENV = {
  config: 'SLUICE_CONFIG',
  host: 'SLUICE_HOST',
  port: 'PORT',
  logLevel: 'LOG_LEVEL',
  redisUrl: 'SLUICE_REDIS_URL',
  signingKey: 'SLUICE_SIGNING_KEY'
} as const

/**
 * Prometheus names. `gen_ai_*` are OpenTelemetry's GenAI server metrics with dots turned into underscores and the unit
 * appended, as its Prometheus exporters write them
 * (https://github.com/open-telemetry/semantic-conventions-genai).
 */
export const METRICS = {
  requestDuration: 'gen_ai_server_request_duration_seconds',
  timeToFirstToken: 'gen_ai_server_time_to_first_token_seconds',
  timePerOutputToken: 'gen_ai_server_time_per_output_token_seconds',
  tokenUsage: 'gen_ai_client_token_usage',
  queueDuration: 'sluice_queue_duration_seconds',
  requests: 'sluice_requests_total',
  refusals: 'sluice_refusals_total',
  tokens: 'sluice_output_tokens_total',
  retries: 'sluice_retries_total',
  activeRequests: 'sluice_active_requests',
  queuedRequests: 'sluice_queued_requests',
  webSockets: 'sluice_websockets',
  engineInFlight: 'sluice_engine_in_flight_requests',
  engineMaxActive: 'sluice_engine_max_active_requests',
  engineUp: 'sluice_engine_up',
  engineAttempts: 'sluice_engine_attempts_total',
  journals: 'sluice_streams',
  journalsEnded: 'sluice_streams_ended_total',
  journalBytes: 'sluice_stream_journal_bytes',
  viewers: 'sluice_stream_viewers',
  views: 'sluice_stream_views_total',
  sharingErrors: 'sluice_stream_sharing_errors_total',
  keysReloaded: 'sluice_keys_last_reload_successful',
  keysReloadedAt: 'sluice_keys_last_reload_success_timestamp_seconds'
} as const

/** A bound of output tokens. */
export const tokenBoundSchema = z.int().min(1).max(10_000_000)
/** The name of a model. */
export const modelNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/,
    'use letters, digits and ._:/- (at most 128), starting with a letter or digit'
  )

/** What a model is for, each task once. */
export const tasksSchema = z
  .array(z.enum(TASKS))
  .min(1)
  .refine((tasks) => new Set(tasks).size === tasks.length, { error: 'a task stands here twice' })

/** The default of `maxUploadBytes`: OpenAI's limit of an audio file, and vLLM's (`VLLM_MAX_AUDIO_CLIP_FILESIZE_MB`). */
export const MAX_UPLOAD_BYTES = 26_214_400

const modelSchema = z.strictObject({
  /** The name that clients send and that the engine serves (`--served-model-name`). */
  name: modelNameSchema,
  /** The most output tokens of one request, all of its choices together; set when the client sends no limit. */
  maxOutputTokens: tokenBoundSchema.default(4096),
  /** A restricted model is there only for the keys that name it; nobody else sees it. */
  restricted: z.boolean().default(false),
  /**
   * What the model is for, and so which routes it answers on; another route is refused here, before an engine is asked.
   * `generate`: chat, completions, responses, messages; `embed`: embeddings; `score`: score and rerank; `transcribe`: audio.
   */
  tasks: tasksSchema.default(['generate'])
})

/** What is no address at all has a problem of its own, and none of those that only an address can have. */
const parseHttp = (url: string) => (/^https?:/i.test(url) ? URL.parse(url) : null)

const originSchema = z
  .url({ protocol: /^https?$/, error: 'use an http:// or https:// address, as http://10.0.0.7:8000' })
  .refine((url) => (parseHttp(url)?.pathname ?? '/') === '/' && !parseHttp(url)?.search, {
    error: 'give scheme, host and port only, as http://10.0.0.7:8000; the paths are added'
  })
  .refine((url) => !parseHttp(url)?.username && !parseHttp(url)?.password, {
    error: 'no credentials in an address; use engineKeyFile'
  })

const enginesSchema = z.union(
  [
    z.strictObject({ urls: z.array(originSchema).min(1).max(1024) }),
    z.strictObject({
      /** A name that resolves to one address per ready engine: in Kubernetes, a headless Service. */
      dns: z.strictObject({
        host: z.hostname(),
        port: z.int().min(1).max(65535).default(PORTS.engine),
        refreshMs: z.int().min(100).max(600_000).default(500)
      })
    })
  ],
  { error: 'give either urls: [...] or dns: { host, port }' }
)

const poolSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use a DNS label: a-z, 0-9 and -, at most 63'),
  models: z.array(modelSchema).min(1).max(256),
  engines: enginesSchema,
  /** A file with the bearer token of these engines (vLLM's --api-key). Without it none is sent. */
  engineKeyFile: z.string().min(1).optional(),
  /** How many requests one engine runs at once before the next ones wait here. Match vLLM's --max-num-seqs. */
  maxActivePerEngine: z.int().min(1).max(100_000).default(256),
  /** How many requests may wait for this pool; one more gets 429. 0 also ends at once what every engine refuses as too many. */
  maxQueued: z.int().min(0).max(100_000).default(512),
  /** How long a request waits for a free engine before it gets 503. */
  queueMs: z.int().min(0).max(3_600_000).default(30_000),
  /** True lets the gateway be ready while this pool has no engine yet; its requests wait in the queue. */
  waitForEngine: z.boolean().default(false)
})

const bodyBytes = z.int().min(1024).max(1_073_741_824)

/** Origins whose pages may call the API; `*` stands for every one. */
export const corsOriginsSchema = z
  .array(z.string().regex(/^(\*|https?:\/\/[^/\s]+)$/, 'use * or an origin, as https://app.example.com'))
  .max(256)

/** The bounds of WebSockets. */
export const webSocketSchema = z.strictObject({
  /** How many a gateway has open; one more gets 503. 0 takes none. */
  maxConnections: z.int().min(0).max(1_000_000).default(10_000),
  /** How many answers one connection gets at once. */
  maxStreams: z.int().min(1).max(1_000).default(16),
  /** The largest message, in bytes; a larger one closes its connection. Without it `maxBodyBytes`. */
  maxMessageBytes: bodyBytes.exactOptional(),
  /** How many messages a connection may send in a second; more close it. */
  messagesPerSecond: z.int().min(1).max(100_000).default(50),
  /** How old a connection may get before it is asked to reconnect; an hour is OpenAI's own limit. */
  maxConnectionMs: z.int().min(1_000).max(86_400_000).default(3_600_000),
  /**
   * What all connections together remember of their responses, in bytes, so that the next turn need send new input only.
   * What was used longest ago is forgotten first; its client is told to send its whole input again.
   */
  historyBytes: z.int().min(0).max(17_179_869_184).default(67_108_864)
})

/** The gateway's whole configuration. Every limit has a default; an unknown field is refused. */
export const configSchema = z.strictObject({
  region: z.string().min(1).max(63).default('local'),
  listen: z
    .strictObject({
      host: z.string().min(1).default('0.0.0.0'),
      port: z.int().min(0).max(65535).default(PORTS.gateway)
    })
    .prefault({}),
  /** The largest request body, in bytes; a larger one gets 413. So much of an upload is held, at most, to find its model. */
  maxBodyBytes: bodyBytes.default(10_485_760),
  /**
   * How many bytes of request bodies are held at once, of requests that wait in line and of those whose answer has not
   * begun; one more that would have to wait gets 429. One alone always fits. The default is a quarter of the memory that a pod has by default.
   */
  maxHeldBytes: z.int().min(1024).max(1_099_511_627_776).default(268_435_456),
  /** The largest form with audio, in bytes; it passes through without being held. */
  maxUploadBytes: bodyBytes.default(MAX_UPLOAD_BYTES),
  /**
   * How long a connection is kept for its next request. It must be longer than whatever is in front keeps it, or a
   * request meets the close; common proxies drop it after 60 s, cloud load balancers after minutes.
   */
  keepAliveMs: z.int().min(1_000).max(86_400_000).default(75_000),
  /** Origins whose pages may call the API. No cookie is ever used, so `*` gives a page no right that its key lacks. */
  corsOrigins: corsOriginsSchema.default(['*']),
  websocket: webSocketSchema.prefault({}),
  /** The file of hashed API keys, as `npm run keys` writes it. */
  keysFile: z.string().min(1).default(FILES.keys),
  /** How often that file is looked at; another content takes effect without a restart. */
  keysReloadMs: z.int().min(100).max(86_400_000).default(5_000),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
  /** How often each engine's health is asked for; two failures in a row take it out, one success brings it back. */
  healthIntervalMs: z.int().min(100).max(600_000).default(2_000),
  /**
   * The way to engines: `auto` speaks plain HTTP to `http://` engines on sockets of its own for event streams, the fast
   * way, and undici for everything else; `undici` is undici for everything.
   */
  engineClient: z.enum(['auto', 'undici']).default('auto'),
  /**
   * How clients are served: `auto` reads plain requests for tokens on the socket itself, the fast way, and leaves
   * everything else to Node's HTTP server and Fastify; `fastify` leaves them everything.
   */
  clientServer: z.enum(['auto', 'fastify']).default('auto'),
  /**
   * True asks engines for the usage of every stream (`stream_options.include_usage`), so that tokens are counted exactly;
   * a client that did not ask for it never sees it. False is for engines that refuse the field.
   */
  countUsage: z.boolean().default(true),
  /**
   * True serves the console, a page to chat and to watch an answer arrive, at `/`. It wants a key like any client, but an
   * address that is open to the world need not show it.
   */
  console: z.boolean().default(false),
  /** How often one request may fail at an engine before its first byte; a full engine is no failure. */
  maxAttempts: z.int().min(1).max(10).default(3),
  budget: timeBudgetSchema.prefault({}),
  /** Resumable streams. */
  streams: streamsSchema.prefault({}),
  pools: z
    .array(poolSchema)
    .min(1)
    .max(256)
    .refine((pools) => new Set(pools.map((pool) => pool.name)).size === pools.length, {
      error: 'two pools have the same name'
    })
    .refine(
      (pools) =>
        new Set(pools.flatMap((p) => p.models.map((m) => m.name))).size === pools.flatMap((p) => p.models).length,
      {
        error: 'a model stands in two pools, or twice in one; list it once'
      }
    )
})

/** The configuration as a person writes it: what has a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>
/** The configuration as the gateway uses it. */
export type Config = z.output<typeof configSchema>
export type PoolConfig = Config['pools'][number]
export type ModelConfig = PoolConfig['models'][number]

/** Says what is wrong in a parsed file, a line a problem: `pools[0].engines: give either …`. */
export function describeProblems(error: z.ZodError): string[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
    return `${path.replace(/^\./, '') || 'the whole'}: ${describeIssue(issue)}`
  })
}

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return describeUnknown(issue.keys)
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined'))
    return `is missing; give ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`
  return issue.message
}

const describeUnknown = (fields: readonly string[]) =>
  fields.length === 1
    ? `there is no field ${fields[0]} here; is it misspelt?`
    : `there are no fields ${fields.join(', ')} here; are they misspelt?`
