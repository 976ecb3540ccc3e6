// Whether a model is asked often enough for a share of its requests to mean anything.
import { METRICS } from '../../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../../lib/gateway-metrics.ts'
import { increase, is, select, sumBy } from '../../lib/promql.ts'
import type { Watched } from './rule.ts'

/** To follow a condition by model: and that there were more than the least number of requests in the window. */
export function andTraffic({ namespace, thresholds }: Watched, window: string): string {
  const requests = increase(select(METRICS.requests, is('namespace', namespace)), window)
  const by = [GATEWAY_LABELS.model]
  return ` and on (${by}) ${sumBy(by, requests)} > ${thresholds.minRequests}`
}
