// Deploys a region's gateway, with the pools of its models, as its way in wants it, and what scales it.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { Gateway } from '../constructs/gateway.ts'
import { INGRESS_PROFILES } from '../constructs/ingress-profiles/catalog.ts'
import type { WayIn } from '../constructs/ingress-profiles/profile.ts'
import type { VllmDeployment } from '../constructs/vllm-deployment.ts'
import type { Region } from '../schema.ts'
import { scaleGateway } from './autoscaling.ts'
import { engineKeysOf, gatewayConfigOf, type PlacedModel, streamSecretsOf } from './gateway-config.ts'
import { keepAliveOf } from './way-in.ts'

/** The gateway in front of the placed models and their engines, which are in the same order, in `scope`. */
export function deployGateway(
  scope: Construct,
  region: Region,
  placed: readonly PlacedModel[],
  engines: readonly VllmDeployment[],
  budget: TimeBudget['gateway'],
  wayIn: WayIn
): Gateway {
  const { autoscaling, streams, ...settings } = region.gateway
  const profile = INGRESS_PROFILES[region.ingress.controller]
  const config = gatewayConfigOf(region, placed)
  const awaited = engines.filter((_, at) => config.pools[at]?.waitForEngine !== true)
  const gateway = new Gateway(scope, 'Gateway', {
    ...settings,
    ...(region.imagePullSecrets === undefined ? {} : { imagePullSecrets: region.imagePullSecrets }),
    autoscaled: autoscaling !== undefined,
    name: wayIn.serviceName,
    config: { ...config, ...keepAliveOf(profile, wayIn) },
    engineKeys: engineKeysOf(placed),
    streamSecrets: streamSecretsOf(streams),
    engineStartSeconds: Math.max(0, ...awaited.map(({ startSeconds }) => startSeconds)),
    budget,
    serviceAnnotations: profile.serviceAnnotations(wayIn)
  })
  scaleGateway(scope, region, gateway.serviceName, budget)
  return gateway
}
