// Tells Prometheus to scrape the pods of a workload.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { PATHS } from '../../gateway/contract.ts'
import { labelsOf } from '../lib/labels.ts'

/** Properties of `MetricsMonitor`. */
export interface MetricsMonitorProps {
  /** `metadata.name`; the scrapes' label `job` is `<namespace>/<name>`. */
  readonly name: string
  /** Where the pods are. */
  readonly namespace: string
  /** Labels of the pods. */
  readonly selectorLabels: Readonly<Record<string, string>>
  /** Seconds between two scrapes. @default 15 */
  readonly scrapeSeconds?: number
  /** Labels by which a Prometheus chooses its monitors. @default none */
  readonly labels?: Readonly<Record<string, string>>
}

const MAX_TIMEOUT_SECONDS = 10

/**
 * A PodMonitor. A Service's endpoints name ready pods only; a gateway that drains still streams for minutes, and an engine
 * that can't start is what an alert is about.
 */
export class MetricsMonitor extends Construct {
  /** The label `job` of the scrapes. */
  readonly job: string

  constructor(scope: Construct, id: string, props: MetricsMonitorProps) {
    super(scope, id)
    const scrapeSeconds = props.scrapeSeconds ?? 15
    const own = labelsOf({ name: 'sluice-monitor', instance: props.name, component: 'monitoring' })
    this.job = `${props.namespace}/${props.name}`
    new ApiObject(this, 'Resource', {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: { name: props.name, labels: { ...own, ...props.labels } },
      spec: {
        selector: { matchLabels: { ...props.selectorLabels } },
        podMetricsEndpoints: [
          {
            port: 'http',
            path: PATHS.metrics,
            interval: `${scrapeSeconds}s`,
            scrapeTimeout: `${Math.min(scrapeSeconds, MAX_TIMEOUT_SECONDS)}s`,
            // The operator puts a label `endpoint` with the port's name on each series, and Prometheus would rename the
            // gateway's own `endpoint`, the engine, to `exported_endpoint`.
            relabelings: [{ action: 'labeldrop', regex: 'endpoint' }]
          }
        ]
      }
    })
  }
}
