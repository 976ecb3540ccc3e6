// A region, from the way in to the GPUs: one chart, and so one file, for each concern.
import { Chart } from 'cdk8s'
import { Construct } from 'constructs'
import { deriveTimeBudget, PORTS } from '../../gateway/contract.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import { Namespace } from '../constructs/namespace.ts'
import { StreamingIngress } from '../constructs/streaming-ingress.ts'
import { enforcedLevelOf } from '../schema/pod-security.ts'
import type { Model, Region } from '../schema.ts'
import { deployEngines } from './engines.ts'
import { deployGateway } from './gateway.ts'
import { engineNameOf, placeModels } from './gateway-config.ts'
import { guardRegion } from './guard.ts'
import { watchRegion } from './monitoring.ts'
import { noticeRegion } from './notices.ts'
import { limitsOf, wayInOf } from './way-in.ts'

/** Properties of `RegionalEndpoint`. */
export interface RegionalEndpointProps {
  /** A checked region of a stack. */
  readonly region: Region
  /** The stack's models; those that the region places are deployed. */
  readonly models: readonly Model[]
}

/** Everything that one region runs. Its charts are its files: `<region>/<chart>.yaml`. */
export class RegionalEndpoint extends Construct {
  /** What whoever runs the cluster has to set there. */
  readonly notices: readonly string[]

  constructor(scope: Construct, id: string, { region, models }: RegionalEndpointProps) {
    super(scope, id)
    const { namespace } = region
    const chart = (name: string) => new Chart(this, name, { namespace })
    const placed = placeModels(region, models)
    const budget = deriveTimeBudget(region.budget)
    const profile = INGRESS_PROFILES[region.ingress.controller]
    const limits = limitsOf(region, placed, budget.ingress)
    const wayIn = wayInOf(region, limits, 'gateway', PORTS.gateway)

    // kubectl applies files in the order of their names, and everything else needs the namespace.
    new Namespace(new Chart(this, '00-namespace'), 'Namespace', {
      ...{ name: namespace, enforce: enforcedLevelOf(region) },
      ...(profile.namespaceLabels === undefined ? {} : { labels: profile.namespaceLabels })
    })
    const engines = placed.map((one) => deployEngines(chart(engineNameOf(one.model)), region, one, budget.engine))
    const gateway = deployGateway(chart('gateway'), region, placed, engines, budget.gateway, wayIn)
    const ingress = new StreamingIngress(chart('ingress'), 'Ingress', { ...wayIn, profile })
    const origin = profile.origin(wayIn)
    guardRegion(this, region, { gateway, engines, origin })
    watchRegion(chart('monitoring'), region, gateway, placed, engines)
    this.notices = [...ingress.notices, ...noticeRegion(region, placed, origin)]
  }
}
