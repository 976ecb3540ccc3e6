// What an engine's pod needs of each kind of accelerator: device resource, official image, where it may run, environment.

/** What a model runs on; the vendor goes with the image, so it is chosen for a model and not for a place. */
export type Accelerator =
  | { readonly kind: 'nvidia' }
  /** One slice of a GPU that is cut by MIG (strategy `mixed`), as `1g.10gb`. */
  | { readonly kind: 'nvidia-mig'; readonly slice: string }
  | { readonly kind: 'amd' }
  /** The kernel driver decides on the resource's name: `xe` for Arc Pro B and later, `i915` for Flex and Max. */
  | { readonly kind: 'intel-xpu'; readonly driver: 'xe' | 'i915' }
  /** No device at all; `kvCacheGiB` of the pod's memory hold the KV cache (`VLLM_CPU_KVCACHE_SPACE`). */
  | { readonly kind: 'cpu'; readonly architecture: 'x86_64' | 'arm64'; readonly kvCacheGiB: number }

/** A taint that a vendor's nodes usually have. */
interface Taint {
  readonly key: string
  readonly operator: 'Exists'
  readonly effect: 'NoSchedule'
}

/** How pods for an accelerator differ. */
export interface AcceleratorProfile {
  /** Extended resource of the device plugin; none on CPUs. */
  readonly resource?: string
  /** Repository of vLLM's official image. Source: vLLM, docs/getting_started/installation. */
  readonly repository: string
  /** What the official image's tag has after the version. */
  readonly tagSuffix: string
  /** The first vLLM with an official image. @default every version that is supported */
  readonly imageSince?: string
  /** Labels that a node must have, beyond those of the placement. */
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly tolerations: readonly Taint[]
  /** Size of /dev/shm in GiB for one device and for several. Source: vLLM, docs/deployment/k8s.md. */
  readonly sharedMemoryGiB: { readonly one: number; readonly several: number }
  readonly env: Readonly<Record<string, string>>
  /** The image has user 2000 and its home, which only the CUDA image promises (vLLM, docs/deployment/docker.md). */
  readonly hasUser: boolean
  /** Device files belong to a group of the node (`render`), which the pod must be in: ROCm/k8s-device-plugin#39. */
  readonly needsDeviceGroup: boolean
}

const tolerate = (key: string): Taint[] => [{ key, operator: 'Exists', effect: 'NoSchedule' }]

const WHOLE_GPU = {
  resource: 'nvidia.com/gpu',
  repository: 'vllm/vllm-openai',
  tagSuffix: '',
  nodeSelector: {},
  tolerations: [],
  sharedMemoryGiB: { one: 2, several: 8 },
  env: {},
  hasUser: true,
  needsDeviceGroup: false
} as const satisfies AcceleratorProfile

/** Images of AMD and Intel are built for one architecture; the image of CPUs says its own. */
const onArchitecture = (name: 'amd64' | 'arm64') => ({ 'kubernetes.io/arch': name })

const AMD: AcceleratorProfile = {
  ...WHOLE_GPU,
  resource: 'amd.com/gpu',
  repository: 'vllm/vllm-openai-rocm',
  nodeSelector: onArchitecture('amd64'),
  tolerations: tolerate('amd.com/gpu'),
  sharedMemoryGiB: { one: 8, several: 8 },
  hasUser: false,
  needsDeviceGroup: true
}

/** https://intel.github.io/intel-device-plugins-for-kubernetes/cmd/gpu_plugin/README.html */
const intelXpu = (driver: 'xe' | 'i915'): AcceleratorProfile => ({
  ...WHOLE_GPU,
  resource: `gpu.intel.com/${driver}`,
  repository: 'vllm/vllm-openai-xpu',
  imageSince: '0.26.0',
  nodeSelector: onArchitecture('amd64'),
  tolerations: tolerate(`gpu.intel.com/${driver}`),
  hasUser: false,
  needsDeviceGroup: true
})

function cpu({ architecture, kvCacheGiB }: Extract<Accelerator, { kind: 'cpu' }>): AcceleratorProfile {
  const { resource: _resource, ...pod } = WHOLE_GPU
  return {
    ...pod,
    repository: 'vllm/vllm-openai-cpu',
    tagSuffix: `-${architecture}`,
    nodeSelector: onArchitecture(architecture === 'arm64' ? 'arm64' : 'amd64'),
    env: { VLLM_CPU_KVCACHE_SPACE: String(kvCacheGiB) },
    sharedMemoryGiB: { one: 4, several: 4 },
    hasUser: false
  }
}

/**
 * The profile of an accelerator. Without one: whole NVIDIA GPUs, and the placement alone says which taints are
 * tolerated; with one the vendor's usual taint is, too.
 */
export function profileOf(accelerator: Accelerator | undefined): AcceleratorProfile {
  switch (accelerator?.kind) {
    case undefined:
      return WHOLE_GPU
    case 'nvidia':
      return { ...WHOLE_GPU, tolerations: tolerate('nvidia.com/gpu') }
    case 'nvidia-mig':
      // https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-mig.html: mixed strategy
      return {
        ...WHOLE_GPU,
        resource: `nvidia.com/mig-${accelerator.slice}`,
        tolerations: tolerate('nvidia.com/gpu')
      }
    case 'amd':
      return AMD
    case 'intel-xpu':
      return intelXpu(accelerator.driver)
    case 'cpu':
      return cpu(accelerator)
  }
}

/** vLLM's official image of a version, as `vllm/vllm-openai-rocm:v0.31.0`. */
export function officialImage(accelerator: Accelerator | undefined, version: string): string {
  const { repository, tagSuffix } = profileOf(accelerator)
  return `${repository}:v${version}${tagSuffix}`
}

/** The official repositories, each with the accelerators that its images are built for. */
export const OFFICIAL_REPOSITORIES: Readonly<Record<string, readonly Accelerator['kind'][]>> = {
  'vllm/vllm-openai': ['nvidia', 'nvidia-mig'],
  'vllm/vllm-openai-rocm': ['amd'],
  'vllm/vllm-openai-xpu': ['intel-xpu'],
  'vllm/vllm-openai-cpu': ['cpu']
}

/** GPUs of one replica, all of its nodes together: what the parallelism needs, and none on CPUs. */
export function countGpus(
  accelerator: Accelerator | undefined,
  settings: { readonly tensorParallelSize?: number; readonly pipelineParallelSize?: number }
): number {
  return accelerator?.kind === 'cpu' ? 0 : (settings.tensorParallelSize ?? 1) * (settings.pipelineParallelSize ?? 1)
}
