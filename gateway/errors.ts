// Every way in which the gateway refuses or fails: one table from code to HTTP status, type and default text.

interface Row {
  readonly status: number
  readonly type: 'invalid_request_error' | 'authentication_error' | 'rate_limit_error' | 'server_error'
  readonly message: string
  readonly retryAfterMs?: number
}

/**
 * `type` values are those of the OpenAI API. A row with `retryAfterMs` sends `Retry-After` (seconds, rounded up), which
 * the official SDKs obey before they try again by themselves.
 */
const TABLE = {
  invalid_json: { status: 400, type: 'invalid_request_error', message: 'The request body is not valid JSON.' },
  invalid_request: { status: 400, type: 'invalid_request_error', message: 'The request is invalid.' },
  missing_api_key: {
    status: 401,
    type: 'authentication_error',
    message: 'No API key was given. Send it in a header: Authorization: Bearer YOUR_KEY, or x-api-key: YOUR_KEY.'
  },
  invalid_api_key: { status: 401, type: 'authentication_error', message: 'The API key is not known here.' },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    message: 'The model does not exist or your key may not use it. GET /v1/models lists what it may use.'
  },
  route_not_supported: {
    status: 404,
    type: 'invalid_request_error',
    message: 'The model does not answer on this route.'
  },
  unknown_url: { status: 404, type: 'invalid_request_error', message: 'There is no such route.' },
  method_not_allowed: { status: 405, type: 'invalid_request_error', message: 'The route does not take this method.' },
  body_too_large: { status: 413, type: 'invalid_request_error', message: 'The request body is too large.' },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    message: 'Send the body as Content-Type: application/json, without a Content-Encoding.'
  },
  engine_refused: { status: 400, type: 'invalid_request_error', message: 'The engine refused the request.' },
  queue_full: {
    status: 429,
    type: 'rate_limit_error',
    message: 'Too many requests wait for this model. Try again later.',
    retryAfterMs: 2_000
  },
  queue_timeout: {
    status: 503,
    type: 'server_error',
    message: 'No engine became free for this model in time. Try again later.',
    retryAfterMs: 5_000
  },
  engine_overloaded: {
    status: 503,
    type: 'server_error',
    message: 'Every engine of this model is at its limit. Try again later.',
    retryAfterMs: 2_000
  },
  no_engine: {
    status: 503,
    type: 'server_error',
    message: 'No engine of this model is ready. Try again later.',
    retryAfterMs: 5_000
  },
  shutting_down: {
    status: 503,
    type: 'server_error',
    message: 'This gateway is shutting down. Try again at once: another one answers.',
    retryAfterMs: 1_000
  },
  upstream_error: { status: 502, type: 'server_error', message: 'The engine failed while it answered.' },
  ttft_timeout: { status: 504, type: 'server_error', message: 'The engine sent no first token in time.' },
  idle_timeout: { status: 504, type: 'server_error', message: 'The engine fell silent in the middle of its answer.' },
  stream_timeout: { status: 504, type: 'server_error', message: 'The answer took longer than the gateway allows.' },
  slow_reader: { status: 499, type: 'server_error', message: 'The client stopped reading the answer.' },
  internal_error: { status: 500, type: 'server_error', message: 'The gateway failed. The request id is in the header.' }
} as const satisfies Record<string, Row>

/** The `error.code` of every error body that the gateway itself writes. */
export type ErrorCode = keyof typeof TABLE

/** What an error may say beyond its row of the table. */
export interface ErrorDetails {
  /** Replaces the table's text. It is shown to clients: no engine text of a 5xx, no addresses. */
  readonly message?: string
  /** The request field that is at fault, as OpenAI's `error.param`. */
  readonly param?: string
  /** Replaces the row's status, for a 4xx that an engine chose. */
  readonly status?: number
  /** Replaces the row's delay before a client should try again. */
  readonly retryAfterMs?: number
  /** What really happened: for the log only. */
  readonly cause?: unknown
}

/** The body of an error as every OpenAI client reads it. */
export interface OpenAiError {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string
  }
}

/** The only error that crosses module borders on purpose; whatever else is thrown becomes `internal_error`. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly type: string
  readonly param: string | null
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    const row: Row = TABLE[code]
    super(details.message ?? row.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'GatewayError'
    this.code = code
    this.status = details.status ?? row.status
    this.type = row.type
    this.param = details.param ?? null
    this.retryAfterMs = details.retryAfterMs ?? row.retryAfterMs
  }
}

/** OpenAI's error object for `error`, for a JSON body or for the data of an SSE event. */
export function toOpenAiError(error: GatewayError): OpenAiError {
  return { error: { message: error.message, type: error.type, param: error.param, code: error.code } }
}

/** `Retry-After` in whole seconds, at least 1, or undefined where trying again would not help. */
export function retryAfterSeconds(error: GatewayError): number | undefined {
  return error.retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(error.retryAfterMs / 1000))
}
