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
  unknown_url: {
    status: 404,
    type: 'invalid_request_error',
    message:
      'There is no such route. Those of the API begin with /v1, as /v1/chat/completions: does the base URL leave it out, or say it twice?'
  },
  method_not_allowed: { status: 405, type: 'invalid_request_error', message: 'The route does not take this method.' },
  body_too_large: { status: 413, type: 'invalid_request_error', message: 'The request body is too large.' },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    message: 'Send the body as Content-Type: application/json, without a Content-Encoding.'
  },
  origin_not_allowed: {
    status: 403,
    type: 'invalid_request_error',
    message: 'Pages of this origin may not open a WebSocket here.'
  },
  duplicate_id: {
    status: 409,
    type: 'invalid_request_error',
    message: 'A stream with this id is open on this connection. Choose another id, or wait for its end.'
  },
  unknown_id: {
    status: 404,
    type: 'invalid_request_error',
    message: 'No stream with this id is open on this connection. It may have ended a moment ago.'
  },
  invalid_stream_id: {
    status: 400,
    type: 'invalid_request_error',
    message:
      'stream_id must be 1 to 256 letters, digits, underscores, hyphens and periods. Leave it out for the default lane.'
  },
  previous_response_not_found: {
    status: 400,
    type: 'invalid_request_error',
    message:
      'The previous response is not known on this connection. Leave previous_response_id out and send the whole input.'
  },
  websocket_stream_limit_reached: {
    status: 400,
    type: 'invalid_request_error',
    message: 'This connection has used all of its stream_ids. Use one of them again, or open another connection.'
  },
  websocket_connection_limit_reached: {
    status: 400,
    type: 'invalid_request_error',
    message: 'This connection is as old as one may get. Open another one to go on.'
  },
  too_many_streams: {
    status: 429,
    type: 'rate_limit_error',
    message: 'Too many streams are running. Try again when one of them has ended.',
    retryAfterMs: 1_000
  },
  too_many_messages: {
    status: 429,
    type: 'rate_limit_error',
    message: 'Too many messages came in one second; the connection is closed.',
    retryAfterMs: 1_000
  },
  too_many_connections: {
    status: 503,
    type: 'server_error',
    message: 'This gateway has as many WebSockets open as it takes. Try again later, or send requests by POST.',
    retryAfterMs: 5_000
  },
  engine_refused: { status: 400, type: 'invalid_request_error', message: 'The engine refused the request.' },
  queue_full: {
    status: 429,
    type: 'rate_limit_error',
    message: 'Too many requests wait for this model. Try again later.',
    retryAfterMs: 2_000
  },
  memory_full: {
    status: 429,
    type: 'rate_limit_error',
    message: 'The requests that wait fill the memory of this gateway. Try again later.',
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
  stream_not_found: {
    status: 404,
    type: 'invalid_request_error',
    message: 'There is no such stream, or no longer, or it is not your key’s.'
  },
  invalid_stream_url: {
    status: 403,
    type: 'authentication_error',
    message: 'The URL of the stream has expired or was changed. The key that began the stream may always watch it.'
  },
  stream_truncated: {
    status: 410,
    type: 'invalid_request_error',
    message: 'The stream goes on, but the events after the last one that you have are no longer kept.'
  },
  too_many_viewers: {
    status: 429,
    type: 'rate_limit_error',
    message: 'Too many readers watch this stream.',
    retryAfterMs: 5_000
  },
  streams_unavailable: {
    status: 503,
    type: 'server_error',
    message: 'Resumable streams can’t be kept right now. Try again later.',
    retryAfterMs: 2_000
  },
  stream_cancelled: { status: 499, type: 'invalid_request_error', message: 'The stream was cancelled.' },
  stream_unwatched: { status: 499, type: 'invalid_request_error', message: 'Nobody watched the stream for too long.' },
  stream_lost: {
    status: 502,
    type: 'server_error',
    message: 'The gateway that ran this stream is gone, and the rest of its answer with it.'
  },
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

/** What was thrown, as an error that may cross a border: what nobody expected is a defect, and its text for the log only. */
export function asGatewayError(cause: unknown): GatewayError {
  return cause instanceof GatewayError ? cause : new GatewayError('internal_error', { cause })
}

/** OpenAI's error object for `error`, for a JSON body or for the data of an SSE event. */
export function toOpenAiError(error: GatewayError): OpenAiError {
  return { error: { message: error.message, type: error.type, param: error.param, code: error.code } }
}

/** `Retry-After` in whole seconds, at least 1, or undefined where trying again would not help. */
export function retryAfterSeconds(error: GatewayError): number | undefined {
  return error.retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(error.retryAfterMs / 1000))
}
