// A region, from the way in to the GPUs: one chart, and so one file, for each concern.
import { Chart } from 'cdk8s'
import { Construct } from 'constructs'
import { deriveTimeBudget, PORTS } from '../../gateway/contract.ts'
import { Gateway } from '../constructs/gateway.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import { Namespace } from '../constructs/namespace.ts'
import { StreamingIngress } from '../constructs/streaming-ingress.ts'
import { enforcedLevelOf } from '../schema/pod-security.ts'
import type { Model, Region } from '../schema.ts'
import { deployEngines } from './engines.ts'
import { engineKeysOf, engineNameOf, gatewayConfigOf, placeModels } from './gateway-config.ts'
import { guardRegion } from './guard.ts'
import {
  noticeAdmission,
  noticeDeviceGroups,
  noticeExceptions,
  noticeOrigin,
  noticeSharedClaims,
  noticeSource
} from './notices.ts'
import { keepAliveOf, noticeHosts, wayInOf } from './way-in.ts'

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
    const wayIn = wayInOf(region, budget.ingress, 'gateway', PORTS.gateway)

    // kubectl applies files in the order of their names, and everything else needs the namespace.
    new Namespace(new Chart(this, '00-namespace'), 'Namespace', { name: namespace, enforce: enforcedLevelOf(region) })
    const engines = placed.map((one) => deployEngines(chart(engineNameOf(one.model)), region, one, budget.engine))
    const gateway = new Gateway(chart('gateway'), 'Gateway', {
      ...region.gateway,
      ...(region.imagePullSecrets === undefined ? {} : { imagePullSecrets: region.imagePullSecrets }),
      name: wayIn.serviceName,
      config: { ...gatewayConfigOf(region, placed), ...keepAliveOf(profile, wayIn) },
      engineKeys: engineKeysOf(placed),
      budget: budget.gateway,
      serviceAnnotations: profile.serviceAnnotations(wayIn)
    })
    const ingress = new StreamingIngress(chart('ingress'), 'Ingress', { ...wayIn, profile })
    guardRegion(this, region, { gateway, engines, origin: profile.origin(wayIn) })
    this.notices = [
      ...ingress.notices,
      ...noticeHosts(region),
      ...noticeOrigin(region, profile.origin(wayIn)),
      ...noticeSharedClaims(region),
      ...noticeSource(region, placed),
      ...noticeDeviceGroups(placed),
      ...noticeExceptions(region),
      ...noticeAdmission(region)
    ]
  }
}
