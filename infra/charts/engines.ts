// Deploys a placed model: its cache as the placement chooses it, what warms the cache, and its engines.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { type IModelCache, ModelCache } from '../constructs/model-cache.ts'
import { ModelWarmUp } from '../constructs/model-warm-up.ts'
import { VllmDeployment } from '../constructs/vllm-deployment.ts'
import type { Placement, Region } from '../schema.ts'
import { engineNameOf, type PlacedModel } from './gateway-config.ts'

/** Engines of one model in `scope`. */
export function deployEngines(
  scope: Construct,
  placed: PlacedModel,
  budget: TimeBudget['engine'],
  { imagePullSecrets }: Pick<Region, 'imagePullSecrets'> = {}
): VllmDeployment {
  const { name: _name, servedName, vllmVersion: _version, restricted: _restricted, ...engine } = placed.model
  const { model: _model, maxQueued: _maxQueued, cache, ...scheduling } = placed.placement
  const name = engineNameOf(placed.model)
  const props = {
    ...engine,
    ...scheduling,
    ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
    name,
    cache: provideCache(scope, `${name}-cache`, cache)
  }
  const engines = new VllmDeployment(scope, 'Engine', { ...props, servedModelName: servedName, budget })
  // After the engines: it runs as their account, and they wait for it anyway.
  if (props.cache.warmUp?.by === 'job') new ModelWarmUp(scope, 'WarmUp', props)
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
