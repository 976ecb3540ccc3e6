// Deploys a placed model: its cache as the placement chooses it, and its engines.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { type IModelCache, ModelCache } from '../constructs/model-cache.ts'
import { VllmDeployment } from '../constructs/vllm-deployment.ts'
import type { Placement, Region } from '../schema.ts'
import { scaleEngines } from './autoscaling.ts'
import { engineNameOf, type PlacedModel } from './gateway-config.ts'

/** Engines of one model in `scope`, and what scales them. */
export function deployEngines(
  scope: Construct,
  region: Region,
  placed: PlacedModel,
  budget: TimeBudget['engine']
): VllmDeployment {
  const { name: _name, servedName, vllmVersion: _version, restricted: _restricted, ...engine } = placed.model
  const {
    model: _model,
    maxQueued: _maxQueued,
    queueMs: _queueMs,
    cache,
    autoscaling,
    ...scheduling
  } = placed.placement
  const name = engineNameOf(placed.model)
  const engines = new VllmDeployment(scope, 'Engine', {
    ...engine,
    ...scheduling,
    name,
    servedModelName: servedName,
    budget,
    cache: provideCache(scope, `${name}-cache`, cache),
    ...(autoscaling === undefined ? {} : { replicas: autoscaling.minReplicas, autoscaled: true })
  })
  scaleEngines(scope, region, placed)
  return engines
}

function provideCache(scope: Construct, name: string, cache: Placement['cache']): IModelCache {
  switch (cache.kind) {
    case 'new-claim':
      return new ModelCache(scope, 'Cache', { ...cache, name })
    case 'claim':
      return ModelCache.fromClaimName(cache.claimName)
    case 'host-path':
      return ModelCache.fromHostPath(scope, 'Cache', { ...cache, name })
    case 'empty-dir':
      return ModelCache.fromEmptyDir(cache.sizeGiB)
  }
}
