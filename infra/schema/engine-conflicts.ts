// Finds what a placed model asks for that its cache, its cluster or its rollout can't give.
import { z } from 'zod'
import { MODEL_DIRECTORY } from '../lib/model-download.ts'
import { isRepository } from '../lib/vllm-settings.ts'
import { clusterSchema, isAtLeast } from './cluster.ts'
import { modelSchema } from './model.ts'
import { pickValid } from './parts.ts'
import { placementSchema } from './placement.ts'

const regionShape = z.object({ cluster: clusterSchema.prefault({}), placements: z.array(z.unknown()) })
const stackShape = z.object({ models: z.array(z.unknown()), regions: z.array(z.unknown()) })

type Model = z.output<typeof modelSchema>
type Placement = z.output<typeof placementSchema>
type Cluster = z.output<typeof clusterSchema>
type Found = readonly [path: string, message: string]

/**
 * Compares each placement with its model and its region's cluster. What is wrong by itself is left to the schema, so
 * one run shows every problem.
 */
export function findEngineConflicts(written: unknown): string[] {
  const stack = pickValid(stackShape, written)
  const models = new Map(
    (stack.models ?? []).flatMap((one) => {
      const parsed = modelSchema.safeParse(one)
      return parsed.success ? [[parsed.data.name, parsed.data] as const] : []
    })
  )
  return (stack.regions ?? []).flatMap((one, region) => {
    const { cluster, placements = [] } = pickValid(regionShape, one)
    return placements.flatMap((placement, index) => {
      const parsed = placementSchema.safeParse(placement)
      const model = parsed.success ? models.get(parsed.data.model) : undefined
      if (!parsed.success || model === undefined || cluster === undefined) return []
      return findPlacedProblems(model, parsed.data, cluster).map(
        ([path, message]) => `regions[${region}].placements[${index}].${path}: ${message}`
      )
    })
  })
}

function findPlacedProblems(model: Model, placement: Placement, cluster: Cluster): Found[] {
  return [
    ...findWarmUpProblems(model, placement),
    ...findImageProblems(model, placement, cluster),
    ...findGroupProblems(model, placement, cluster)
  ]
}

function findWarmUpProblems({ settings, adapters = [] }: Model, { cache }: Placement): Found[] {
  if (!('warmUp' in cache) || !cache.warmUp) {
    return adapters.flatMap(({ name, revision }): Found[] =>
      revision === undefined
        ? []
        : [['cache', `vLLM takes the default branch of adapter ${name}, and no revision; set warmUp: true, which does`]]
    )
  }
  const found: Found[] = []
  if (!isRepository(settings.model)) {
    found.push(['cache.warmUp', `${settings.model} is no repository of the Hugging Face hub; leave warmUp out`])
  } else if (!/^[0-9a-f]{40}$/.test(settings.revision ?? '')) {
    found.push([
      'cache.warmUp',
      'it downloads once and for all, and a branch moves; give settings.revision the 40 hex digits of a commit'
    ])
  }
  for (const { name, source, revision } of adapters) {
    if (isRepository(source) && revision === undefined) {
      found.push(['cache.warmUp', `give adapter ${name} the revision to download: 40 hex digits of a commit`])
    }
  }
  return found
}

function findImageProblems({ settings, adapters = [] }: Model, { cache }: Placement, cluster: Cluster): Found[] {
  if (cache.kind !== 'oci-image') return []
  const found: Found[] = []
  if (!isAtLeast(cluster, '1.35')) {
    found.push([
      'cache.kind',
      `oci-image needs Kubernetes 1.35, and cluster.kubernetes is ${cluster.kubernetes}; raise it, or use a claim`
    ])
  }
  const inside = (path: string) => path === MODEL_DIRECTORY || path.startsWith(`${MODEL_DIRECTORY}/`)
  if (!inside(settings.model)) {
    found.push([
      'cache.kind',
      `the image is mounted at ${MODEL_DIRECTORY}, and settings.model is ${settings.model}; write ${MODEL_DIRECTORY}, or a folder below it`
    ])
  }
  for (const { name, source } of adapters.filter((adapter) => isRepository(adapter.source))) {
    found.push([
      'cache.kind',
      `the engine runs offline and can't get adapter ${name} from ${source}; put it into the image`
    ])
  }
  return found
}

/** The most groups whose names, with all that controllers append, stay within the 63 characters of a label: 100, one of them a surge. */
const MAX_GROUPS = 99

function findGroupProblems({ nodes }: Model, { cache, replicas, autoscaling }: Placement, cluster: Cluster): Found[] {
  if (nodes === 1) return []
  const found: Found[] = []
  if (!cluster.apis.includes('leader-worker-set')) {
    found.push([
      'model',
      `an engine on ${nodes} nodes is a LeaderWorkerSet; install it (https://lws.sigs.k8s.io) and add leader-worker-set to cluster.apis, or use one node`
    ])
  }
  if ('accessMode' in cache && cache.accessMode === 'ReadWriteOnce') {
    found.push(['cache.accessMode', `an engine on ${nodes} nodes can't share a volume of one; use ReadWriteMany`])
  }
  const [field, most] = autoscaling ? ['autoscaling.maxReplicas', autoscaling.maxReplicas] : ['replicas', replicas]
  if (most > MAX_GROUPS) found.push([field, `use at most ${MAX_GROUPS} engines of several nodes`])
  return found
}
