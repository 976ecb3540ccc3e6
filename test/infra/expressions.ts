// Every PromQL expression that a stack's manifests hold, each with the place where it stands.
import type { Manifest } from './stacks.ts'

export interface Placed {
  /** As `PrometheusRule sluice: SluiceNoEngine`. */
  readonly where: string
  readonly expr: string
}

/** What Grafana puts in place of its variables. */
const VARIABLES: readonly [string, string][] = [
  ['$__rate_interval', '1m'],
  ['$model', '.+']
]

const fill = (expr: string) => VARIABLES.reduce((text, [name, value]) => text.replaceAll(name, value), expr)

export const rulesOf = (manifests: readonly Manifest[]): Manifest[] =>
  manifests
    .filter(({ kind }) => kind === 'PrometheusRule')
    .flatMap(({ spec }) => spec.groups.flatMap((group: Manifest) => group.rules))

export const dashboardsOf = (manifests: readonly Manifest[]): Manifest[] =>
  manifests
    .filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.labels.grafana_dashboard !== undefined)
    .flatMap(({ data }) => Object.values<string>(data).map((text) => JSON.parse(text)))

const ofDashboard = ({ title, panels, templating }: Manifest): Placed[] => [
  ...panels.flatMap((panel: Manifest) =>
    (panel.targets ?? []).map(({ expr }: Manifest) => ({
      where: `dashboard ${title}: ${panel.title}`,
      expr: fill(expr)
    }))
  ),
  // `label_values(series, label)` is Grafana's own; `count by (label) (series)` has the same names in it.
  ...templating.list
    .filter(({ type }: Manifest) => type === 'query')
    .map(({ name, query }: Manifest) => ({
      where: `dashboard ${title}: variable ${name}`,
      expr: query.replace(/^label_values\((.*), (\w+)\)$/, 'count by ($2) ($1)')
    }))
]

/** Rules, dashboards and the autoscalers' queries. */
export function expressionsOf(manifests: readonly Manifest[]): Placed[] {
  const scaled = manifests.filter(({ kind }) => kind === 'ScaledObject')
  return [
    ...rulesOf(manifests).map((rule) => ({ where: `rule ${rule.alert ?? rule.record}`, expr: rule.expr })),
    ...dashboardsOf(manifests).flatMap(ofDashboard),
    ...scaled.flatMap(({ metadata, spec }) =>
      spec.triggers
        .filter(({ type }: Manifest) => type === 'prometheus')
        .map(({ name, metadata: { query } }: Manifest) => ({
          where: `ScaledObject ${metadata.name}: ${name}`,
          expr: query
        }))
    )
  ]
}
