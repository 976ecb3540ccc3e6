// Deploys a placed model: its cache as the placement chooses it, what warms the cache, and its engines.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { type IModelCache, ModelCache } from '../constructs/model-cache.ts'
import { ModelWarmUp } from '../constructs/model-warm-up.ts'
import { VllmDeployment } from '../constructs/vllm-deployment.ts'
import { needsOf } from '../schema/pod-security.ts'
import type { Placement, Region } from '../schema.ts'
import { scaleEngines } from './autoscaling.ts'
import { engineNameOf, type PlacedModel } from './gateway-config.ts'

/** Engines of one model in `scope`, as their region has them, and what scales them. */
export function deployEngines(
  scope: Construct,
  region: Region,
  placed: PlacedModel,
  budget: TimeBudget['engine']
): VllmDeployment {
  const { name: modelName, servedName, vllmVersion: _version, restricted: _restricted, ...engine } = placed.model
  const {
    model: _model,
    maxQueued: _maxQueued,
    queueMs: _queueMs,
    cache,
    autoscaling,
    ...scheduling
  } = placed.placement
  const name = engineNameOf(placed.model)
  const props = {
    ...engine,
    ...scheduling,
    ...(region.imagePullSecrets === undefined ? {} : { imagePullSecrets: region.imagePullSecrets }),
    name,
    podNeeds: needsOf(region, modelName),
    cache: provideCache(scope, `${name}-cache`, cache),
    ...(autoscaling === undefined ? {} : { replicas: autoscaling.minReplicas, autoscaled: true })
  }
  const offline = region.network.modelSource === 'none'
  const engines = new VllmDeployment(scope, 'Engine', { ...props, servedModelName: servedName, budget, offline })
  // After the engines: it runs as their account, and they wait for it anyway.
  if (props.cache.warmUp?.by === 'job') new ModelWarmUp(scope, 'WarmUp', props)
  scaleEngines(scope, region, placed, engines.scaleTarget)
  return engines
}

function provideCache(scope: Construct, name: string, cache: Placement['cache']): IModelCache {
  switch (cache.kind) {
    case 'new-claim':
      return new ModelCache(scope, 'Cache', { ...cache, name })
    case 'claim':
      return ModelCache.fromClaimName(cache.claimName, cache)
    case 'host-path':
      return ModelCache.fromHostPath(scope, 'Cache', { ...cache, name })
    case 'empty-dir':
      return ModelCache.fromEmptyDir(cache.sizeGiB)
    case 'oci-image':
      return ModelCache.fromImage(cache.reference, cache.sizeGiB)
  }
}
