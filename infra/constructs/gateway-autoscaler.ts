// Adds and takes away gateways: on their requests and CPU with KEDA, on CPU alone without it.
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { METRICS, type TimeBudget } from '../../gateway/contract.ts'
import { prometheusTrigger, scaleByKeda } from '../lib/keda.ts'
import { labelsOf } from '../lib/labels.ts'
import { is, select, sum } from '../lib/promql.ts'
import { scaleDownSlowly } from '../lib/scale-down.ts'

/** Properties of `GatewayAutoscaler`. */
export interface GatewayAutoscalerProps {
  /** The Deployment's name. */
  readonly name: string
  /** Where the gateway runs, whose series are read. */
  readonly namespace: string
  /** The gateway's part of the region's time budget. */
  readonly budget: TimeBudget['gateway']
  /** At least two, so a node may be drained. @default 2 */
  readonly minReplicas?: number
  /** The most. */
  readonly maxReplicas: number
  /** Percent of the requested CPU. @default 70 */
  readonly cpuPercent?: number
  /** Requests at the engines and in the queue for each gateway; only with `prometheusUrl`. @default 500 */
  readonly requestsPerGateway?: number
  /** Prometheus' HTTP API as KEDA reaches it. @default none: there is no KEDA, and CPU alone decides */
  readonly prometheusUrl?: string
}

/** A ScaledObject, or a HorizontalPodAutoscaler, for the gateway. */
export class GatewayAutoscaler extends Construct {
  constructor(scope: Construct, id: string, props: GatewayAutoscalerProps) {
    super(scope, id)
    const { name, minReplicas = 2, maxReplicas, cpuPercent = 70 } = props
    const target = { apiVersion: 'apps/v1', kind: 'Deployment', name }
    const labels = labelsOf({ name: 'sluice-gateway', instance: name, component: 'gateway' })
    // A gateway that goes drains for as long as a stream may take: calm has to last longer, or several drain at once.
    const behavior = scaleDownSlowly(props.budget.terminationGraceSeconds + 60)
    if (props.prometheusUrl === undefined) {
      new k8s.KubeHorizontalPodAutoscalerV2(this, 'Resource', {
        metadata: { name, labels },
        spec: {
          scaleTargetRef: target,
          minReplicas,
          maxReplicas,
          metrics: [
            {
              type: 'Resource',
              resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpuPercent } }
            }
          ],
          behavior
        }
      })
      return
    }
    scaleByKeda(this, 'Resource', {
      ...{ name, target, labels, minReplicas, maxReplicas, behavior },
      pollSeconds: 15,
      cooldownSeconds: props.budget.terminationGraceSeconds,
      triggers: [
        prometheusTrigger(
          'requests',
          props.prometheusUrl,
          countRequests(props.namespace),
          props.requestsPerGateway ?? 500
        ),
        { type: 'cpu', name: 'cpu', metricType: 'Utilization', metadata: { value: String(cpuPercent) } }
      ]
    })
  }
}

/** Every open request, whether it streams or waits: both hold a connection. */
function countRequests(namespace: string): string {
  const all = (metric: string) => sum(select(metric, is('namespace', namespace)))
  return `${all(METRICS.activeRequests)} + ${all(METRICS.queuedRequests)}`
}
