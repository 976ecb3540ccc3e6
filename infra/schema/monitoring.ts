// The schema of how a region is watched: where Prometheus is, what is promised, and from where on somebody is called.
import { z } from 'zod'
import { FIRST_TOKEN_BUCKETS_S } from '../lib/gateway-metrics.ts'
import { LABEL_KEY, LABEL_VALUE } from '../lib/names.ts'
import { named } from './parts.ts'

const address = z
  .url({ protocol: /^https?$/, error: 'use an http:// or https:// address' })
  .refine((url) => !URL.canParse(url) || (new URL(url).username === '' && new URL(url).password === ''), {
    error: 'a secret never stands in a manifest; use an address without credentials'
  })
const labels = z.record(named(LABEL_KEY), named(LABEL_VALUE))
const share = z.number().gt(0).lt(1)

/** The fastest burn that is alerted on is 14.4 times the budget: below this objective it would exceed everything there is. */
const promise = z
  .number()
  .min(0.94, 'use 0.94 to 0.9999: a budget above 6 % can never burn 14.4 times too fast, so that alert would be dead')
  .max(0.9999, 'use 0.94 to 0.9999')

const objectivesSchema = z.strictObject({
  /** The share of requests that may not fail by the service's fault. */
  availability: promise.default(0.995),
  /** The share of streams whose first token comes in time. */
  firstTokenShare: promise.default(0.95),
  /** What "in time" means, in seconds from acceptance, the wait in the queue included: a bound of the histogram. */
  firstTokenSeconds: z
    .literal(FIRST_TOKEN_BUCKETS_S, { error: `use a bound of the histogram: ${FIRST_TOKEN_BUCKETS_S.join(', ')}` })
    .default(5)
})

const thresholdsSchema = z.strictObject({
  /** Waiting requests of a pool from which on a growing queue is told. */
  queuedRequests: z.int().min(1).max(100_000).default(16),
  /** Share of an engine's KV cache in use. */
  kvUsage: share.default(0.9),
  /** Sequences that an engine throws out and computes again, a minute. */
  preemptionsPerMinute: z.number().positive().max(100_000).default(6),
  /** Share of the requests at one engine that it fails; readers see less of it, for most are tried again elsewhere. */
  engineFailedShare: share.default(0.1),
  /** Share of requests whose reader leaves before the end. */
  cancelledShare: share.default(0.3),
  /** Share of requests whose reader gives up after 10 s and more while first tokens are sent in time. */
  abandonedShare: share.default(0.1),
  /** Share of requests whose reader stops reading. */
  slowReaderShare: share.default(0.05),
  /** Share of requests that there is no room for. */
  refusedShare: share.default(0.05),
  /** Requests without a known key, a second. */
  rejectedKeysPerSecond: z.number().positive().max(1_000_000).default(1),
  /** Requests of a model in a rule's window, below which no share is told of: of three, one is a third. */
  minRequests: z.int().min(0).max(1_000_000).default(20)
})

/** What is written here beyond `prometheusUrl` needs the Prometheus operator. */
export const monitoringSchema = z.strictObject({
  /** Prometheus' HTTP API as KEDA reaches it, as http://prometheus-operated.monitoring.svc:9090. */
  prometheusUrl: address.exactOptional(),
  /** Seconds between two scrapes. Rules read windows of five minutes and more. */
  scrapeSeconds: z.int().min(5).max(60).default(15),
  /** Labels of monitors and rules, by which a Prometheus chooses them, as release: kube-prometheus-stack. */
  labels: labels.default({}),
  /** Labels of the dashboard's ConfigMap, by which Grafana's sidecar finds it. */
  dashboardLabels: labels.default({ grafana_dashboard: '1' }),
  /** The page that alerts point to, at the section of their name. */
  runbookUrl: address.default('https://github.com/sluice/sluice/blob/main/docs/alerts.md'),
  objectives: objectivesSchema.prefault({}),
  thresholds: thresholdsSchema.prefault({})
})
