// The schema of a model's accelerator, and what image, GPUs and parallelism have to agree on with it.
import { z } from 'zod'
import { type Accelerator, countGpus, OFFICIAL_REPOSITORIES, profileOf } from '../lib/accelerators.ts'
import { parseImage } from '../lib/image.ts'
import { isOlder } from '../lib/vllm-versions.ts'
import type { Problem } from './parts.ts'

export const acceleratorSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('nvidia') }),
  z.strictObject({
    kind: z.literal('nvidia-mig'),
    /** The slice, as the device plugin names it behind `nvidia.com/mig-`. */
    slice: z.string().regex(/^\d+g\.\d+gb(\.me)?$/, 'use the name of a slice, such as 1g.10gb')
  }),
  z.strictObject({ kind: z.literal('amd') }),
  z.strictObject({ kind: z.literal('intel-xpu'), driver: z.enum(['xe', 'i915']).default('xe') }),
  z.strictObject({
    kind: z.literal('cpu'),
    architecture: z.enum(['x86_64', 'arm64']).default('x86_64'),
    /** GiB of the pod's memory for the KV cache. */
    kvCacheGiB: z.int().min(1).max(4096).default(8)
  })
])

/** What of a model its accelerator decides on; a field that is wrong by itself is left out. */
export interface AcceleratedModel {
  readonly accelerator?: Accelerator
  readonly image?: string
  readonly vllmVersion?: string
  readonly gpus?: number
  readonly nodes?: number
  readonly gpuResource?: string
  readonly settings: { readonly tensorParallelSize?: number; readonly pipelineParallelSize?: number }
}

/** Every disagreement between a model and its accelerator. */
export function findAcceleratorProblems(model: AcceleratedModel): Problem[] {
  return [...findGpuProblems(model), ...findNodeProblems(model), ...findImageProblems(model)]
}

function findGpuProblems({ accelerator, gpus, gpuResource, settings }: AcceleratedModel): Problem[] {
  const { tensorParallelSize: tp, pipelineParallelSize: pp } = settings
  const problems: Problem[] = []
  if (accelerator?.kind === 'cpu') {
    if (gpus !== undefined) problems.push([['gpus'], 'accelerator cpu has none; leave gpus out'])
    if (gpuResource !== undefined) problems.push([['gpuResource'], 'accelerator cpu has none; leave it out'])
    return problems
  }
  if (tp === undefined || pp === undefined) return problems
  const needed = countGpus(accelerator, settings)
  if (gpus !== undefined && gpus !== needed) {
    problems.push([
      ['gpus'],
      `${gpus} GPU(s) for tensorParallelSize ${tp} x pipelineParallelSize ${pp}; use ${needed}, or change the parallelism`
    ])
  }
  // https://docs.nvidia.com/datacenter/tesla/mig-user-guide: a CUDA process sees one slice, and NCCL joins none.
  if (accelerator?.kind === 'nvidia-mig' && needed > 1) {
    problems.push([
      ['accelerator'],
      `${needed} MIG slices can't work on one model; use a larger slice, and parallelism 1`
    ])
  }
  return problems
}

function findNodeProblems({ accelerator, nodes = 1, settings }: AcceleratedModel): Problem[] {
  if (nodes === 1) return []
  if (accelerator?.kind === 'cpu' || accelerator?.kind === 'nvidia-mig') {
    return [[['nodes'], `accelerator ${accelerator.kind} works on one node; leave nodes out`]]
  }
  const { tensorParallelSize: tp, pipelineParallelSize: pp } = settings
  if (tp === undefined || pp === undefined || (tp * pp) % nodes === 0) return []
  return [
    [
      ['nodes'],
      `${tp * pp} GPU(s) can't be shared out evenly over ${nodes} nodes; take tensorParallelSize for the GPUs of a node and pipelineParallelSize for the nodes`
    ]
  ]
}

function findImageProblems({ accelerator, gpuResource, image, vllmVersion }: AcceleratedModel): Problem[] {
  const { repository, imageSince } = profileOf(accelerator)
  const kind = accelerator?.kind ?? 'nvidia'
  if (image === undefined) {
    if (vllmVersion === undefined || imageSince === undefined || !isOlder(vllmVersion, imageSince)) return []
    return [[['vllmVersion'], `${repository} begins with ${imageSince}; use that, or name an image`]]
  }
  // Who names the device resource knows what the image is for.
  if (gpuResource !== undefined) return []
  const used = parseImage(image)?.repository.replace(/^docker\.io\//, '')
  const builtFor = used === undefined ? undefined : OFFICIAL_REPOSITORIES[used]
  if (builtFor === undefined || builtFor.includes(kind)) return []
  return [
    [
      ['image'],
      `${used} is built for ${builtFor.join(', ')}, and the accelerator is ${kind}; use ${repository}, or set accelerator`
    ]
  ]
}
