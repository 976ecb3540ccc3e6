// A region's recording and alerting rules as one PrometheusRule.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import { watchCapacity } from './alerts/capacity.ts'
import { watchEngines } from './alerts/engines.ts'
import { watchObjectives } from './alerts/objectives.ts'
import { watchReaders } from './alerts/readers.ts'
import type { AlertingRule, RecordingRule, Watched } from './alerts/rule.ts'

/** Properties of `AlertingRules`. */
export interface AlertingRulesProps extends Watched {
  /** `metadata.name`. */
  readonly name: string
  /** The region's name: a label of every alert and of every recorded series. */
  readonly region: string
  /** Where runbooks are; each alert points to the section of its name. */
  readonly runbookUrl: string
  /** Labels by which a Prometheus chooses its rules. @default none */
  readonly labels?: Readonly<Record<string, string>>
}

/** The rules of one region. They read its namespace only, so regions may share a cluster and a Prometheus. */
export class AlertingRules extends Construct {
  constructor(scope: Construct, id: string, props: AlertingRulesProps) {
    super(scope, id)
    const groups = [watchCapacity(props), watchEngines(props), watchReaders(props), ...watchObjectives(props)]
    const own = labelsOf({ name: 'sluice-rules', instance: props.name, component: 'monitoring' })
    new ApiObject(this, 'Resource', {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: { name: props.name, labels: { ...own, ...props.labels } },
      spec: {
        groups: groups.map(({ rules, ...group }) => ({
          ...group,
          rules: rules.map((rule) => ('alert' in rule ? renderAlert(rule, props) : renderRecord(rule, props)))
        }))
      }
    })
  }
}

/** Sums drop the labels of the scrape; the region's own stand on everything, so that alerts can be routed by them. */
function labelsOfRegion({ namespace, region }: AlertingRulesProps): Record<string, string> {
  return { namespace, region }
}

function renderRecord(rule: RecordingRule, props: AlertingRulesProps) {
  return { ...rule, labels: labelsOfRegion(props) }
}

function renderAlert(rule: AlertingRule, props: AlertingRulesProps) {
  const { alert, expr, severity, labels, summary, description } = rule
  return {
    alert,
    expr,
    for: rule.for,
    labels: { ...labelsOfRegion(props), severity, ...labels },
    annotations: { summary, description, runbook_url: `${props.runbookUrl}#${alert.toLowerCase()}` }
  }
}
