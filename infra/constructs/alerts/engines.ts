// The alerts on engines: none, one that can't be reached, fails or does not start, full KV caches, preemptions.
import { METRICS } from '../../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../../lib/gateway-metrics.ts'
import { increase, is, isOneOf, plain, rate, select, share, sumBy } from '../../lib/promql.ts'
import { VLLM_LABELS, VLLM_METRICS } from '../../lib/vllm-metrics.ts'
import { enginesUp, queuedRequests } from './capacity.ts'
import type { AlertingRule, RuleGroup, Watched, WatchedPool } from './rule.ts'

/** A rollout, a node's drain or one bad probe is no reason to call anybody. */
const PATIENCE_SECONDS = 300

const enginesOf = (namespace: string, pool: string) =>
  select(enginesUp, is('namespace', namespace), is(GATEWAY_LABELS.pool, pool))

/** That nobody waits for the first engine of all any more: the pool has had one, or has been known for so long. */
function isOlder(namespace: string, pool: string, seconds: number): string {
  const engines = enginesOf(namespace, pool)
  return `(max_over_time(${engines}[${seconds}s]) > 0 or ${engines} offset ${seconds}s >= 0)`
}

function watchNone(namespace: string, { pool, scaledToZero, ...times }: WatchedPool): AlertingRule {
  const { startSeconds, warmUpSeconds = 0, gapSeconds = 0 } = times
  const queued = select(queuedRequests, is('namespace', namespace), is(GATEWAY_LABELS.pool, pool))
  const waiting = scaledToZero ? ` and on (${GATEWAY_LABELS.pool}) ${queued} > 0` : ''
  const first = isOlder(namespace, pool, warmUpSeconds + startSeconds)
  return {
    alert: 'SluiceNoEngine',
    expr: `${enginesOf(namespace, pool)} == 0 and ${first}${waiting}`,
    // From zero the first engine starts while its requests wait.
    for: `${(scaledToZero ? Math.max(startSeconds, gapSeconds) : gapSeconds) + PATIENCE_SECONDS}s`,
    severity: 'critical',
    labels: { pool },
    summary: `The pool ${pool} has no engine`,
    description: `No gateway reaches an engine of ${pool}, so its requests wait or are refused. Look at its engines' pods: pending for want of a GPU, loading, or crashing.`
  }
}

function watchStart(namespace: string, { pool, job, startSeconds, warmUpSeconds = 0 }: WatchedPool): AlertingRule {
  const warmed = warmUpSeconds === 0 ? '' : ` and on (namespace) ${isOlder(namespace, pool, warmUpSeconds)}`
  return {
    alert: 'SluiceEngineStuck',
    expr: `${select('up', is('namespace', namespace), is('job', job))} == 0${warmed}`,
    for: `${startSeconds + PATIENCE_SECONDS}s`,
    severity: 'warning',
    labels: { pool },
    summary: `An engine of ${pool} does not start`,
    description: `{{ $labels.pod }} has not answered for longer than the ${startSeconds} s that it may take to start. It crashes, loads too slowly, or its metrics can't be reached.`
  }
}

function watchMetrics(namespace: string, { pool, servedModelName }: WatchedPool): AlertingRule {
  const series = select(VLLM_METRICS.running, is('namespace', namespace), is(VLLM_LABELS.model, servedModelName))
  const up = enginesOf(namespace, pool)
  return {
    alert: 'SluiceEngineMetricsMissing',
    expr: `${up} > 0 unless on () count(${series})`,
    for: '15m',
    severity: 'warning',
    labels: { pool },
    summary: `Prometheus has no metrics of the engines of ${pool}`,
    description: `The gateway reaches engines of ${pool}, but there is no ${VLLM_METRICS.running} of ${servedModelName}: autoscaling and the alerts on engines are blind. A NetworkPolicy, a monitor that no Prometheus selects, or a vLLM that renamed its metrics.`
  }
}

function watchHealth(namespace: string): AlertingRule {
  const { pool, endpoint } = GATEWAY_LABELS
  return {
    alert: 'SluiceEngineDown',
    expr: `min by (${pool}, ${endpoint}) (${select(METRICS.engineUp, is('namespace', namespace))}) == 0`,
    for: `${PATIENCE_SECONDS}s`,
    severity: 'warning',
    summary: `The engine {{ $labels.${endpoint} }} of {{ $labels.${pool} }} does not answer`,
    description: `A gateway can't use {{ $labels.${endpoint} }} though Kubernetes calls its pod ready: the way from this gateway to it is closed, or it answers others and not this one.`
  }
}

/** Whoever asks is told of a failure only where no other engine mends it, and health probes may never see it. */
function watchFailures({ namespace, thresholds }: Watched): AlertingRule {
  const { pool, endpoint, result } = GATEWAY_LABELS
  const by = [pool, endpoint]
  const attempts = (...results: string[]) =>
    select(METRICS.engineAttempts, is('namespace', namespace), isOneOf(result, results))
  const failed = sumBy(by, rate(attempts('failed'), '15m'))
  const all = sumBy(by, rate(attempts('ok', 'failed'), '15m'))
  const enough = `${sumBy(by, increase(attempts('ok', 'failed'), '15m'))} > ${thresholds.minRequests}`
  // one that crashed and went failed all that it had, which its counts tell for the rest of their window
  const up = `max by (${by.join(', ')}) (max_over_time(${select(METRICS.engineUp, is('namespace', namespace))}[${PATIENCE_SECONDS}s])) > 0`
  const onEngine = ` and on (${by.join(', ')}) `
  return {
    alert: 'SluiceEngineFails',
    expr: [`${share(failed, all)} > ${plain(thresholds.engineFailedShare)}`, enough, up].join(onEngine),
    for: `${PATIENCE_SECONDS}s`,
    severity: 'warning',
    summary: `The engine {{ $labels.${endpoint} }} of {{ $labels.${pool} }} fails what it is asked`,
    description: `{{ $value | humanizePercentage }} of the requests at {{ $labels.${endpoint} }} failed though its health is well. Those that had not begun to answer went to other engines, so readers may not see it yet.`
  }
}

function watchMemory({ namespace, thresholds }: Watched): AlertingRule[] {
  const by = [VLLM_LABELS.model, 'pod']
  const where = is('namespace', namespace)
  const preemptions = sumBy(by, rate(select(VLLM_METRICS.preemptions, where), '10m'))
  const of = `{{ $labels.pod }} (${`{{ $labels.${VLLM_LABELS.model} }}`})`
  return [
    {
      alert: 'SluiceKvCacheFull',
      expr: `max by (${by.join(', ')}) (${select(VLLM_METRICS.kvCacheUsage, where)}) > ${plain(thresholds.kvUsage)}`,
      for: '10m',
      severity: 'warning',
      summary: `The KV cache of ${of} is full`,
      description: `{{ $value | humanizePercentage }} of the KV cache of ${of} is in use: new requests wait in the engine and running ones are preempted. More engines, a lower maxNumSeqs, or a shorter maxModelLen.`
    },
    {
      alert: 'SluicePreemptions',
      expr: `${preemptions} * 60 > ${plain(thresholds.preemptionsPerMinute)}`,
      for: '10m',
      severity: 'warning',
      summary: `${of} throws out sequences and computes them again`,
      description: `{{ $value | humanize }} preemptions a minute at ${of}: more sequences run than its KV cache holds, and readers see pauses. A lower maxNumSeqs, or more engines.`
    }
  ]
}

/** The rules on engines. */
export function watchEngines(watched: Watched): RuleGroup {
  const { namespace, pools } = watched
  return {
    name: 'sluice-engines',
    rules: [
      ...pools.flatMap((pool) => [watchNone, watchStart, watchMetrics].map((watch) => watch(namespace, pool))),
      watchHealth(namespace),
      watchFailures(watched),
      ...watchMemory(watched)
    ]
  }
}
