// One graph of a dashboard: its title, its unit and its queries, built with Grafana's SDK.
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { type Matcher, quantile, select } from '../../lib/promql.ts'

/** The dashboard's variable that names the Prometheus to ask. */
export const DATASOURCE = { type: 'prometheus', uid: `\${datasource}` }

/** Grafana's window for rates: four scrapes, or what the zoom asks for. */
export const WINDOW = '$__rate_interval'

/** The dashboard's variable of models; every query of one is narrowed by it. */
export const ofModel = (label: string): Matcher => `${label}=~"$model"`

/** How its lines are called, as `{{pool}}`, and a query. */
export type Line = readonly [legend: string, expr: string]

/** What a graph shows. */
export interface Graph {
  readonly title: string
  /** `percentunit` is a share, 0 to 1; `reqps` is requests a second. */
  readonly unit: 's' | 'short' | 'percentunit' | 'reqps' | 'bytes'
  /** Shown at the title's sign. */
  readonly description: string
  readonly lines: readonly Line[]
}

/** A row of graphs under one heading. */
export interface Row {
  readonly title: string
  readonly graphs: readonly Graph[]
}

export const graph = (title: string, unit: Graph['unit'], description: string, ...lines: Line[]): Graph => ({
  title,
  unit,
  description,
  lines
})

/** The median and the slow end of a histogram, by model. */
export function spread(metric: string, modelLabel: string, where: Matcher): Line[] {
  const buckets = select(`${metric}_bucket`, where, ofModel(modelLabel))
  return [0.5, 0.95, 0.99].map((q) => [`{{${modelLabel}}} p${q * 100}`, quantile(q, [modelLabel], buckets, WINDOW)])
}

/** Three graphs stand in a row of Grafana's 24 columns. */
const WIDTH = 8
const HEIGHT = 8

/** Builds the panel of a graph. */
export function buildPanel({ title, description, unit, lines }: Graph): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .span(WIDTH)
    .height(HEIGHT)
    .lineWidth(1)
    .fillOpacity(8)
  if (unit === 'percentunit') panel.max(1)
  for (const [index, [legend, expr]] of lines.entries()) {
    const refId = String.fromCharCode('A'.charCodeAt(0) + index)
    panel.withTarget(new DataqueryBuilder().datasource(DATASOURCE).refId(refId).expr(expr).legendFormat(legend).range())
  }
  return panel
}
