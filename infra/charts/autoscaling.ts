// Scales what a region runs, where its stack asks for it and its cluster has what that takes.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { EngineAutoscaler } from '../constructs/engine-autoscaler.ts'
import { GatewayAutoscaler } from '../constructs/gateway-autoscaler.ts'
import type { ScaleTarget } from '../lib/keda.ts'
import type { Region } from '../schema.ts'
import { engineNameOf, type PlacedModel } from './gateway-config.ts'

/** Scales the engines of a placed model in `scope`; without KEDA the stack was refused. */
export function scaleEngines(
  scope: Construct,
  region: Region,
  { model, placement }: PlacedModel,
  target: ScaleTarget
): void {
  const { prometheusUrl } = region.monitoring
  if (placement.autoscaling === undefined || prometheusUrl === undefined) return
  new EngineAutoscaler(scope, 'Autoscaler', {
    ...placement.autoscaling,
    name: engineNameOf(model),
    target,
    namespace: region.namespace,
    pool: model.name,
    servedModelName: model.servedName,
    maxNumSeqs: model.settings.maxNumSeqs,
    loadSeconds: model.loadSeconds,
    prometheusUrl
  })
}

/** Scales the gateway in `scope`. */
export function scaleGateway(scope: Construct, region: Region, name: string, budget: TimeBudget['gateway']): void {
  const { autoscaling } = region.gateway
  if (autoscaling === undefined) return
  const { prometheusUrl } = region.monitoring
  const hasKeda = region.cluster.apis.includes('keda')
  new GatewayAutoscaler(scope, 'Autoscaler', {
    ...autoscaling,
    name,
    namespace: region.namespace,
    budget,
    ...(hasKeda && prometheusUrl !== undefined ? { prometheusUrl } : {})
  })
}
