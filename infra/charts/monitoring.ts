// Watches what a region runs, where its cluster has the Prometheus operator: scrapes, rules and a dashboard.
import type { Construct } from 'constructs'
import { AlertingRules } from '../constructs/alerting-rules.ts'
import type { WatchedPool } from '../constructs/alerts/rule.ts'
import type { Gateway } from '../constructs/gateway.ts'
import { MetricsMonitor } from '../constructs/metrics-monitor.ts'
import { RegionDashboard } from '../constructs/region-dashboard.ts'
import type { VllmDeployment } from '../constructs/vllm-deployment.ts'
import type { Region } from '../schema.ts'
import { isScaledToZero, type PlacedModel } from './gateway-config.ts'

type Scraped = Pick<Gateway | VllmDeployment, 'serviceName' | 'selectorLabels'>

/** Everything about watching of one region, in `scope`; nothing without the operator. @param engines those of each placed model, in the same order */
export function watchRegion(
  scope: Construct,
  region: Region,
  gateway: Gateway,
  placed: readonly PlacedModel[],
  engines: readonly VllmDeployment[]
): void {
  const { name, namespace, monitoring, cluster } = region
  if (!cluster.apis.includes('prometheus-operator')) return
  const { scrapeSeconds, labels, runbookUrl, objectives, thresholds, dashboardLabels } = monitoring
  const scrape = ({ serviceName, selectorLabels }: Scraped) =>
    new MetricsMonitor(scope, `Monitor-${serviceName}`, {
      ...{ name: serviceName, namespace, selectorLabels, scrapeSeconds, labels }
    }).job
  const gatewayJob = scrape(gateway)
  const pools = engines.flatMap((engine, index) => {
    const one = placed[index]
    return one === undefined ? [] : [describe(one, engine, scrape(engine))]
  })
  new AlertingRules(scope, 'Rules', {
    ...{ name: 'sluice', region: name, namespace, gatewayJob, pools },
    ...{ objectives, thresholds, runbookUrl, labels }
  })
  new RegionDashboard(scope, 'Dashboard', {
    ...{ name: 'sluice-dashboard', region: name, namespace, gatewayJob },
    labels: dashboardLabels
  })
}

function describe({ model, placement }: PlacedModel, engine: VllmDeployment, job: string): WatchedPool {
  const { seconds = 0, onEachNode = false } = engine.warmUp ?? {}
  const warmUpSeconds = onEachNode ? 0 : seconds
  return {
    pool: model.name,
    servedModelName: model.servedName,
    job,
    scaledToZero: isScaledToZero(placement),
    startSeconds: engine.startSeconds - warmUpSeconds,
    warmUpSeconds,
    // of weights that are there already: while other ones are downloaded for longer, somebody should know
    gapSeconds: Math.max(0, engine.gapSeconds - warmUpSeconds)
  }
}
