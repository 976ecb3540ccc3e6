// Deploys a region's gateway, with the pools of its models, as its way in wants it, and what scales it.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { Gateway } from '../constructs/gateway.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import type { WayIn } from '../constructs/ingress-profiles/profile.ts'
import type { Region } from '../schema.ts'
import { scaleGateway } from './autoscaling.ts'
import { engineKeysOf, gatewayConfigOf, type PlacedModel, streamSecretsOf } from './gateway-config.ts'
import { keepAliveOf } from './way-in.ts'

/** The gateway in front of the placed models, in `scope`. */
export function deployGateway(
  scope: Construct,
  region: Region,
  placed: readonly PlacedModel[],
  budget: TimeBudget['gateway'],
  wayIn: WayIn
): Gateway {
  const { autoscaling, streams, ...settings } = region.gateway
  const profile = INGRESS_PROFILES[region.ingress.controller]
  const gateway = new Gateway(scope, 'Gateway', {
    ...settings,
    ...(region.imagePullSecrets === undefined ? {} : { imagePullSecrets: region.imagePullSecrets }),
    autoscaled: autoscaling !== undefined,
    name: wayIn.serviceName,
    config: { ...gatewayConfigOf(region, placed), ...keepAliveOf(profile, wayIn) },
    engineKeys: engineKeysOf(placed),
    streamSecrets: streamSecretsOf(streams),
    budget,
    serviceAnnotations: profile.serviceAnnotations(wayIn)
  })
  scaleGateway(scope, region, gateway.serviceName, budget)
  return gateway
}
