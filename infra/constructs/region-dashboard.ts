// A region's Grafana dashboard, in a ConfigMap that Grafana's sidecar finds by its label.
import { createHash } from 'node:crypto'
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh
} from '@grafana/grafana-foundation-sdk/dashboard'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { METRICS } from '../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../lib/gateway-metrics.ts'
import { labelsOf } from '../lib/labels.ts'
import { is, select } from '../lib/promql.ts'
import { showLoad, showSpeed } from './dashboards/engines.ts'
import { showGateways } from './dashboards/gateways.ts'
import { buildPanel, DATASOURCE, type Row } from './dashboards/panel.ts'
import { showObjectives, showQueue, showReaders } from './dashboards/readers.ts'

/** Properties of `RegionDashboard`. */
export interface RegionDashboardProps {
  /** `metadata.name` of the ConfigMap. */
  readonly name: string
  /** The region's namespace, whose series are shown. */
  readonly namespace: string
  /** The region's name: in the title and in the address. */
  readonly region: string
  /** The label `job` of the gateways' scrapes. */
  readonly gatewayJob: string
  /** By which Grafana's sidecar finds it; the sidecar must look in this namespace. @default grafana_dashboard: '1' */
  readonly labels?: Readonly<Record<string, string>>
}

/** The dashboard; the Prometheus is chosen in Grafana. */
export class RegionDashboard extends Construct {
  constructor(scope: Construct, id: string, props: RegionDashboardProps) {
    super(scope, id)
    const own = labelsOf({ name: 'sluice-dashboard', instance: props.name, component: 'monitoring' })
    new k8s.KubeConfigMap(this, 'Resource', {
      metadata: { name: props.name, labels: { ...own, ...(props.labels ?? { grafana_dashboard: '1' }) } },
      data: { [`sluice-${props.region}.json`]: `${JSON.stringify(buildDashboard(props), null, 1)}\n` }
    })
  }
}

function buildDashboard({ namespace, region, gatewayJob }: RegionDashboardProps) {
  const where = is('namespace', namespace)
  const rows = [
    ...[showObjectives(where), showReaders(where), showQueue(where)],
    ...[showLoad(where), showSpeed(where), showGateways(where, is('job', gatewayJob))]
  ]
  const dashboard = new DashboardBuilder(`Sluice ${region}`)
    .uid(uidOf(region, namespace))
    .description('Generated; edits here are lost.')
    .tags(['sluice', 'vllm'])
    .readonly()
    .refresh('30s')
    .time({ from: 'now-3h', to: 'now' })
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(chooseModels(namespace))
  for (const row of rows) addRow(dashboard, row)
  return dashboard.build()
}

/** The longest identifier that Grafana takes. */
const UID_LENGTH = 40
const HASH_LENGTH = 8

/**
 * The dashboard's address: region and namespace, which tell environments apart, or as much of them as there is room for and
 * a hash.
 */
function uidOf(region: string, namespace: string): string {
  const uid = `sluice-${region}-${namespace}`
  if (uid.length <= UID_LENGTH) return uid
  const hash = createHash('sha256').update(uid).digest('hex').slice(0, HASH_LENGTH)
  return `${uid.slice(0, UID_LENGTH - HASH_LENGTH - 1)}-${hash}`
}

function chooseModels(namespace: string): QueryVariableBuilder {
  const series = select(METRICS.tokens, is('namespace', namespace))
  return new QueryVariableBuilder('model')
    .label('Model')
    .datasource(DATASOURCE)
    .query(`label_values(${series}, ${GATEWAY_LABELS.model})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
}

function addRow(dashboard: DashboardBuilder, { title, graphs }: Row): void {
  dashboard.withRow(new RowBuilder(title))
  for (const graph of graphs) dashboard.withPanel(buildPanel(graph))
}
