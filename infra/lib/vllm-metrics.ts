// The names and labels of vLLM's metrics that rules, dashboards and autoscalers read.

/**
 * Prometheus names as they stand on the wire: counters end in `_total`, histograms are asked for with `_bucket` and `_count`.
 * Source: vllm/v1/metrics/loggers.py. Older names are gone: `gpu_cache_usage_perc` is `kv_cache_usage_perc`,
 * `time_per_output_token_seconds` is `inter_token_latency_seconds`.
 */
export const VLLM_METRICS = {
  running: 'vllm:num_requests_running',
  waiting: 'vllm:num_requests_waiting',
  /** 0 to 1. */
  kvCacheUsage: 'vllm:kv_cache_usage_perc',
  preemptions: 'vllm:num_preemptions_total',
  promptTokens: 'vllm:prompt_tokens_total',
  generationTokens: 'vllm:generation_tokens_total',
  prefixCacheQueries: 'vllm:prefix_cache_queries_total',
  prefixCacheHits: 'vllm:prefix_cache_hits_total',
  finished: 'vllm:request_success_total',
  timeToFirstToken: 'vllm:time_to_first_token_seconds',
  interTokenLatency: 'vllm:inter_token_latency_seconds',
  queueTime: 'vllm:request_queue_time_seconds'
} as const

/** Every series has both: the first served name (not `model`, which matches nothing), and the engine's number in its pod. */
export const VLLM_LABELS = { model: 'model_name', engine: 'engine', finishedReason: 'finished_reason' } as const
