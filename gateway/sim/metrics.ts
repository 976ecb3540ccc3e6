// The engine's metrics under vLLM's names and labels (vllm/v1/metrics/loggers.py), and two of the simulator's own.
import { createHistogram, type Family, formatFamily, type Histogram, type Labels } from './exposition.ts'
import type { FinishReason } from './output.ts'
import type { SchedulerObserver } from './scheduler.ts'
import type { Entry } from './sequence.ts'
import type { SimStats } from './stats.ts'

const REASONS: readonly FinishReason[] = ['stop', 'length', 'abort', 'error', 'repetition']

const TTFT_S = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80
].concat([160, 640, 2560])
const INTER_TOKEN_S = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]
const REQUEST_S = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680]

/** 1, 2, 5, 10, 20, … up to `max`: vLLM's buckets for token counts. */
function tokenBuckets(max: number): number[] {
  const all = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()
  return all.filter((bound) => bound <= max)
}

function createHistograms(maxModelLen: number) {
  const seconds = (name: string, help: string, buckets = REQUEST_S) => createHistogram(`vllm:${name}`, help, buckets)
  const tokens = (name: string, help: string) => createHistogram(`vllm:${name}`, help, tokenBuckets(maxModelLen))
  return {
    ttft: seconds('time_to_first_token_seconds', 'Histogram of time to first token in seconds.', TTFT_S),
    interToken: seconds('inter_token_latency_seconds', 'Histogram of inter-token latency in seconds.', INTER_TOKEN_S),
    perToken: seconds(
      'request_time_per_output_token_seconds',
      'Histogram of time_per_output_token_seconds per request.',
      INTER_TOKEN_S
    ),
    e2e: seconds('e2e_request_latency_seconds', 'Histogram of e2e request latency in seconds.'),
    queue: seconds('request_queue_time_seconds', 'Histogram of time spent in WAITING phase for request.'),
    prefill: seconds('request_prefill_time_seconds', 'Histogram of time spent in PREFILL phase for request.'),
    decode: seconds('request_decode_time_seconds', 'Histogram of time spent in DECODE phase for request.'),
    inference: seconds('request_inference_time_seconds', 'Histogram of time spent in RUNNING phase for request.'),
    promptTokens: tokens('request_prompt_tokens', 'Number of prefill tokens processed.'),
    generationTokens: tokens('request_generation_tokens', 'Number of generation tokens processed.')
  } satisfies Record<string, Histogram>
}

export interface EngineMetrics extends SchedulerObserver {
  readonly preemptions: number
  /** Counts a choice that the engine itself has ended. */
  engineAbort(): void
  /** The body of `GET /metrics`. */
  format(stats: SimStats, kvBlocks: number): string
}

type Histograms = ReturnType<typeof createHistograms>

function observeFinished(histograms: Histograms, entry: Entry, nowMs: number): void {
  const scheduledMs = entry.scheduledAtMs ?? entry.queuedAtMs
  const firstMs = entry.firstTokenAtMs ?? nowMs
  histograms.e2e.observe((nowMs - entry.queuedAtMs) / 1000)
  histograms.queue.observe((scheduledMs - entry.queuedAtMs) / 1000)
  histograms.prefill.observe((firstMs - scheduledMs) / 1000)
  histograms.decode.observe((nowMs - firstMs) / 1000)
  histograms.inference.observe((nowMs - scheduledMs) / 1000)
  if (entry.tokens > 1) histograms.perToken.observe((nowMs - firstMs) / (entry.tokens - 1) / 1000)
  histograms.promptTokens.observe(entry.sequence.prompt.length)
  histograms.generationTokens.observe(entry.tokens)
}

interface Tally {
  readonly labels: Labels
  readonly finished: Map<FinishReason, number>
  promptTokens: number
  queries: number
  hits: number
  preemptions: number
}

const one = (type: Family['type'], name: string, help: string, labels: Labels, value: number) =>
  formatFamily({ name, help, type, series: [{ labels, value }] })

function formatGauges({ running, waiting, usedKvBlocks }: SimStats, kvBlocks: number, { labels }: Tally): string[] {
  const gauge = (name: string, help: string, value: number) => one('gauge', `vllm:${name}`, help, labels, value)
  return [
    gauge('num_requests_running', 'Number of requests in model execution batches.', running),
    gauge('num_requests_waiting', 'Number of requests waiting to be processed.', waiting),
    gauge('kv_cache_usage_perc', 'KV-cache usage. 1 means 100 percent usage.', usedKvBlocks / kvBlocks)
  ]
}

function formatCounters(stats: SimStats, { labels, finished, ...tally }: Tally): string[] {
  const counter = (name: string, help: string, value: number) => one('counter', name, help, labels, value)
  const byReason = [...finished].map(([reason, value]) => ({ labels: { ...labels, finished_reason: reason }, value }))
  return [
    counter('vllm:prefix_cache_queries', 'Prefix cache queries, in number of queried tokens.', tally.queries),
    counter('vllm:prefix_cache_hits', 'Prefix cache hits, in number of cached tokens.', tally.hits),
    counter('vllm:num_preemptions', 'Cumulative number of preemption from the engine.', tally.preemptions),
    counter('vllm:prompt_tokens', 'Number of prefill tokens processed.', tally.promptTokens),
    counter('vllm:generation_tokens', 'Number of generation tokens processed.', stats.generatedTokens),
    formatFamily({
      name: 'vllm:request_success',
      help: 'Count of successfully processed requests.',
      type: 'counter',
      series: byReason
    }),
    counter('sim:aborted_requests', 'Requests whose client left before the end.', stats.aborted),
    counter('sim:tokens_after_abort', 'Tokens generated after the client had left.', stats.tokensAfterAbort)
  ]
}

export function createMetrics(model: string, maxModelLen: number): EngineMetrics {
  const histograms = createHistograms(maxModelLen)
  const labels = { engine: '0', model_name: model }
  const finished = new Map<FinishReason, number>(REASONS.map((reason) => [reason, 0]))
  const tally: Tally = { labels, finished, promptTokens: 0, queries: 0, hits: 0, preemptions: 0 }
  const finish = (reason: FinishReason) => finished.set(reason, (finished.get(reason) ?? 0) + 1)
  return {
    get preemptions() {
      return tally.preemptions
    },
    onScheduled(entry, cachedTokens) {
      tally.queries += entry.sequence.prompt.length
      tally.hits += cachedTokens
    },
    onToken(entry, nowMs) {
      if (entry.lastTokenAtMs !== undefined) histograms.interToken.observe((nowMs - entry.lastTokenAtMs) / 1000)
      else histograms.ttft.observe((nowMs - entry.queuedAtMs) / 1000)
      if (entry.lastTokenAtMs === undefined) tally.promptTokens += entry.sequence.prompt.length
    },
    onFinished(entry, nowMs) {
      finish(entry.finishReason ?? 'stop')
      observeFinished(histograms, entry, nowMs)
    },
    onPreempted() {
      tally.preemptions += 1
    },
    engineAbort: () => finish('abort'),
    format(stats, kvBlocks) {
      const samples = Object.values(histograms).map((histogram) => histogram.format(labels))
      return [...formatGauges(stats, kvBlocks, tally), ...formatCounters(stats, tally), ...samples].join('')
    }
  }
}
