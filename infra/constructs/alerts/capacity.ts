// What there is and what waits, recorded by pool, and the alerts on a queue that grows and on gateways: gone, or with old keys.
import { METRICS } from '../../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../../lib/gateway-metrics.ts'
import { is, min, select, sumBy } from '../../lib/promql.ts'
import type { AlertingRule, RecordingRule, RuleGroup, Watched } from './rule.ts'

/** Recorded by pool: engines that a gateway reaches, 0 where there is none, and requests that wait. */
export const enginesUp = 'pool:sluice_engines_up:count'
export const queuedRequests = 'pool:sluice_queued_requests:sum'

const POOL = [GATEWAY_LABELS.pool]

function recordPools(namespace: string): RecordingRule[] {
  const all = (metric: string) => select(metric, is('namespace', namespace))
  // Every gateway tells of every engine: one that any of them reaches counts once.
  const reached = `max by (${[...POOL, GATEWAY_LABELS.endpoint].join(', ')}) (${all(METRICS.engineUp)})`
  // A pool without an engine has no series of one, and still its queue's.
  return [
    {
      record: enginesUp,
      expr: `${sumBy(POOL, reached)} or ${sumBy(POOL, all(METRICS.queuedRequests))} * 0`
    },
    { record: queuedRequests, expr: sumBy(POOL, all(METRICS.queuedRequests)) }
  ]
}

function watchQueue({ namespace, thresholds }: Watched): AlertingRule {
  const queued = select(queuedRequests, is('namespace', namespace))
  return {
    alert: 'SluiceQueueGrowing',
    expr: `${queued} > ${thresholds.queuedRequests} and deriv(${queued}[10m]) > 0`,
    for: '5m',
    severity: 'warning',
    summary: `More and more requests wait for {{ $labels.${GATEWAY_LABELS.pool} }}`,
    description: `{{ $value | humanize }} requests wait for an engine of {{ $labels.${GATEWAY_LABELS.pool} }}, and more every minute: the next are refused when its queue is full.`
  }
}

function watchGateway({ namespace, gatewayJob }: Watched): AlertingRule {
  return {
    alert: 'SluiceGatewayDown',
    // Gone or failing, the same: there is no scrape that succeeds.
    expr: `absent(${select('up', is('namespace', namespace), is('job', gatewayJob))} == 1)`,
    for: '5m',
    severity: 'critical',
    summary: 'Prometheus reaches no gateway',
    description: `No scrape of ${gatewayJob} succeeds: every gateway is down, or Prometheus is kept from them. All other alerts of this region are blind.`
  }
}

/** Kubelet brings a changed Secret within two minutes, so what is refused for longer stays refused. */
function watchKeys({ namespace }: Watched): AlertingRule {
  return {
    alert: 'SluiceKeysNotReloaded',
    expr: `${min(select(METRICS.keysReloaded, is('namespace', namespace)))} == 0`,
    for: '5m',
    severity: 'warning',
    summary: 'A gateway can not read its file of API keys',
    description:
      'The newest file of API keys is not valid, or can not be read: the keys before it stay in force, those that were taken out among them, and a gateway that starts now does not get up.'
  }
}

/** The rules on capacity; the recorded series come first, so alerts of the same evaluation read them. */
export function watchCapacity(watched: Watched): RuleGroup {
  return {
    name: 'sluice-capacity',
    rules: [...recordPools(watched.namespace), watchQueue(watched), watchGateway(watched), watchKeys(watched)]
  }
}
