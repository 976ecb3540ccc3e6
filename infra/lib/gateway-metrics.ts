// The labels of the gateway's metrics, and the metrics of its process: what the contract's names leave open.

/** Labels of the series that `METRICS` names. */
export const GATEWAY_LABELS = {
  model: 'gen_ai_request_model',
  errorType: 'error_type',
  outcome: 'outcome',
  code: 'code',
  pool: 'pool',
  endpoint: 'endpoint',
  result: 'result'
} as const

/** Metrics of the Node process, as prom-client's default collection names them. */
export const PROCESS_METRICS = {
  cpu: 'process_cpu_seconds_total',
  memory: 'process_resident_memory_bytes',
  eventLoopLag: 'nodejs_eventloop_lag_p99_seconds'
} as const

/** How a request ended, by the label `outcome`. */
export const OUTCOMES = { complete: 'complete', error: 'error', gone: 'client_gone' } as const

/** Codes of requests that failed by their own or their reader's fault: they burn no objective. */
export const CLIENT_CODES = ['engine_refused', 'slow_reader'] as const
/** Codes of requests that there was no room for. */
export const CAPACITY_CODES = ['queue_full', 'memory_full', 'queue_timeout', 'no_engine', 'engine_overloaded'] as const
/** Codes of requests without a key that is known. */
export const KEY_CODES = ['invalid_api_key', 'missing_api_key'] as const

/** Upper bounds, in seconds, of the buckets of the time to first token: an objective must be one of them. */
export const FIRST_TOKEN_BUCKETS_S = [0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60] as const
