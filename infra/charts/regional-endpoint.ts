// A region, from the way in to the GPUs: one chart, and so one file, for each concern.
import { Chart } from 'cdk8s'
import { Construct } from 'constructs'
import { deriveTimeBudget } from '../../gateway/contract.ts'
import { Gateway } from '../constructs/gateway.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import { Namespace } from '../constructs/namespace.ts'
import { StreamingIngress } from '../constructs/streaming-ingress.ts'
import { enforcedLevelOf } from '../schema/pod-security.ts'
import type { Model, Region } from '../schema.ts'
import { deployEngines } from './engines.ts'
import { engineKeysOf, engineNameOf, gatewayConfigOf, placeModels } from './gateway-config.ts'
import { guardRegion } from './guard.ts'
import { noticeAdmission, noticeDeviceGroups, noticeExceptions, noticeSharedClaims, noticeSource } from './notices.ts'

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
    const limits = { ...budget.ingress, maxBodyBytes: region.gateway.maxBodyBytes }
    const backend = { namespace, serviceName: 'gateway' }

    // kubectl applies files in the order of their names, and everything else needs the namespace.
    new Namespace(new Chart(this, '00-namespace'), 'Namespace', { name: namespace, enforce: enforcedLevelOf(region) })
    const engines = placed.map((one) => deployEngines(chart(engineNameOf(one.model)), region, one, budget.engine))
    const gateway = new Gateway(chart('gateway'), 'Gateway', {
      ...region.gateway,
      ...(region.imagePullSecrets === undefined ? {} : { imagePullSecrets: region.imagePullSecrets }),
      name: backend.serviceName,
      config: gatewayConfigOf(region, placed),
      engineKeys: engineKeysOf(placed),
      budget: budget.gateway,
      serviceAnnotations: profile.serviceAnnotations(limits, backend)
    })
    const ingress = new StreamingIngress(chart('ingress'), 'Ingress', {
      ...region.ingress,
      ...region.ingress.tls,
      name: gateway.serviceName,
      profile,
      limits,
      backend: { ...backend, port: gateway.port }
    })
    guardRegion(this, region, { gateway, engines, controllerPods: profile.controllerPods })
    this.notices = [
      ...ingress.notices,
      ...noticeSharedClaims(region),
      ...noticeSource(region, placed),
      ...noticeDeviceGroups(placed),
      ...noticeExceptions(region),
      ...noticeAdmission(region)
    ]
  }
}
