// Deploys a placed model: its cache as the placement chooses it, and its engines.
import type { Construct } from 'constructs'
import type { TimeBudget } from '../../gateway/contract.ts'
import { type IModelCache, ModelCache } from '../constructs/model-cache.ts'
import { VllmDeployment } from '../constructs/vllm-deployment.ts'
import type { PodNeed } from '../lib/pod-security.ts'
import type { Placement } from '../schema.ts'
import { engineNameOf, type PlacedModel } from './gateway-config.ts'

/** What a region gives the engines of a model. */
export interface EngineTerms {
  readonly budget: TimeBudget['engine']
  readonly podNeeds: readonly PodNeed[]
  /** The region's engines may not load models from anywhere. */
  readonly offline: boolean
}

/** Engines of one model in `scope`. */
export function deployEngines(scope: Construct, placed: PlacedModel, terms: EngineTerms): VllmDeployment {
  const { name: _name, servedName, vllmVersion: _version, restricted: _restricted, ...engine } = placed.model
  const { model: _model, maxQueued: _maxQueued, cache, ...scheduling } = placed.placement
  const name = engineNameOf(placed.model)
  return new VllmDeployment(scope, 'Engine', {
    ...engine,
    ...scheduling,
    ...terms,
    name,
    servedModelName: servedName,
    cache: provideCache(scope, `${name}-cache`, cache)
  })
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
