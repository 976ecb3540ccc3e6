// A region, from the way in to the GPUs: one chart, and so one file, for each concern.
import { Chart } from 'cdk8s'
import { Construct } from 'constructs'
import { deriveTimeBudget } from '../../gateway/contract.ts'
import { Gateway } from '../constructs/gateway.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import { Namespace } from '../constructs/namespace.ts'
import { StreamingIngress } from '../constructs/streaming-ingress.ts'
import type { Model, Region } from '../schema.ts'
import { scaleGateway } from './autoscaling.ts'
import { deployEngines } from './engines.ts'
import { engineKeysOf, engineNameOf, gatewayConfigOf, placeModels } from './gateway-config.ts'
import { watchRegion } from './monitoring.ts'
import { noticeSharedClaims } from './notices.ts'

/** Properties of `RegionalEndpoint`. */
export interface RegionalEndpointProps {
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
    const limits = { ...budget.ingress, maxBodyBytes: region.gateway.maxBodyBytes }
    const backend = { namespace, serviceName: 'gateway' }

    // kubectl applies files in the order of their names, and everything else needs the namespace.
    new Namespace(new Chart(this, '00-namespace'), 'Namespace', { name: namespace })
    const engines = placed.map((one) => deployEngines(chart(engineNameOf(one.model)), region, one, budget.engine))
    const front = chart('gateway')
    const gateway = new Gateway(front, 'Gateway', {
      ...region.gateway,
      autoscaled: region.gateway.autoscaling !== undefined,
      name: backend.serviceName,
      config: gatewayConfigOf(region, placed),
      engineKeys: engineKeysOf(placed),
      budget: budget.gateway,
      serviceAnnotations: profile.serviceAnnotations(limits, backend)
    })
    scaleGateway(front, region, gateway.serviceName, budget.gateway)
    const ingress = new StreamingIngress(chart('ingress'), 'Ingress', {
      ...region.ingress,
      ...region.ingress.tls,
      name: gateway.serviceName,
      profile,
      limits,
      backend: { ...backend, port: gateway.port }
    })
    if (region.cluster.apis.includes('prometheus-operator')) {
      watchRegion(chart('monitoring'), region, gateway, placed, engines)
    }
    this.notices = [...ingress.notices, ...noticeSharedClaims(region)]
  }
}
