// Each kind of accelerator as it stands in the written YAML: devices, image, nodes, environment, and what is refused.
import { describe, expect, it } from 'vitest'
import { synthesize } from '../../../infra/main.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { findViolations } from '../pod-security.ts'
import { find, inTemporaryDirectory, type Manifest, manifestsOf, podOf, problemsOf, stackWith } from '../stacks.ts'

const NAME = 'engine-llama'

/** A stack whose model names no image and no GPUs. */
function stackOn(accelerator: object | undefined, settings: object = {}, placement: object = {}) {
  const stack = stackWith({ settings, placement })
  const { image: _image, gpus: _gpus, ...model } = stack.models[0] as Manifest
  return {
    ...stack,
    models: [{ ...model, vllmVersion: '0.31.0', ...(accelerator === undefined ? {} : { accelerator }) }]
  }
}

describe('an accelerator', () => {
  it.each([
    ['nothing', undefined, 'nvidia.com/gpu', 'vllm/vllm-openai:v0.31.0'],
    ['nvidia', { kind: 'nvidia' }, 'nvidia.com/gpu', 'vllm/vllm-openai:v0.31.0'],
    ['a MIG slice', { kind: 'nvidia-mig', slice: '3g.40gb' }, 'nvidia.com/mig-3g.40gb', 'vllm/vllm-openai:v0.31.0'],
    ['amd', { kind: 'amd' }, 'amd.com/gpu', 'vllm/vllm-openai-rocm:v0.31.0'],
    ['intel-xpu', { kind: 'intel-xpu' }, 'gpu.intel.com/xe', 'vllm/vllm-openai-xpu:v0.31.0'],
    [
      'an older Intel driver',
      { kind: 'intel-xpu', driver: 'i915' },
      'gpu.intel.com/i915',
      'vllm/vllm-openai-xpu:v0.31.0'
    ]
  ])('says of %s which device and which image', async (_title, accelerator, resource, image) => {
    const manifests = manifestsOf(stackOn(accelerator))
    const pod = podOf(manifests, NAME)
    const [container] = pod.containers
    expect(container.resources.limits).toEqual({ cpu: '8', memory: '32Gi', [resource]: '1' })
    expect(container.resources.requests[resource]).toBe('1')
    expect(container.image).toBe(image)
    expect(findViolations(pod)).toEqual([])
    expect(await findSchemaProblems(find(manifests, 'Deployment', NAME))).toEqual([])
  })

  it('cpu asks for no device, and keeps its KV cache within its memory', () => {
    const pod = podOf(manifestsOf(stackOn({ kind: 'cpu', architecture: 'arm64', kvCacheGiB: 12 })), NAME)
    const [container] = pod.containers
    expect(container.resources.requests).toEqual({ cpu: '16', memory: '32Gi' })
    expect(container.resources.limits).toEqual({ cpu: '32', memory: '32Gi' })
    expect(container.image).toBe('vllm/vllm-openai-cpu:v0.31.0-arm64')
    expect(container.env).toContainEqual({ name: 'VLLM_CPU_KVCACHE_SPACE', value: '12' })
    expect(pod.nodeSelector).toEqual({ 'kubernetes.io/arch': 'arm64' })
    expect(pod).not.toHaveProperty('tolerations')
  })

  it('adds labels and taints to those of the placement, and none where it is not named', () => {
    const where = { nodeSelector: { pool: 'mi300x' }, tolerations: [{ key: 'team', operator: 'Exists' }] }
    const pod = podOf(manifestsOf(stackOn({ kind: 'amd' }, {}, where)), NAME)
    expect(pod.nodeSelector).toEqual({ 'kubernetes.io/arch': 'amd64', pool: 'mi300x' })
    expect(pod.tolerations).toEqual([
      { key: 'amd.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'team', operator: 'Exists' }
    ])
    const anyway = { tolerations: [{ key: 'amd.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] }
    expect(podOf(manifestsOf(stackOn({ kind: 'amd' }, {}, anyway)), NAME).tolerations).toEqual(anyway.tolerations)
    expect(podOf(manifestsOf(stackWith()), NAME)).not.toHaveProperty('tolerations')
    expect(podOf(manifestsOf(stackOn({ kind: 'nvidia' })), NAME).tolerations).toEqual([
      { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }
    ])
  })

  it('gives a home and a name to user 2000 where the image has none', () => {
    const pod = podOf(manifestsOf(stackOn({ kind: 'amd' })), NAME)
    const [container] = pod.containers
    expect(pod.volumes).toContainEqual({ name: 'home', emptyDir: {} })
    const paths = container.volumeMounts.map((mount: Manifest) => mount.mountPath)
    expect(paths.slice(0, 2)).toEqual(['/home/vllm', '/home/vllm/.cache'])
    expect(container.env).toContainEqual({ name: 'LOGNAME', value: 'vllm' })
    expect(podOf(manifestsOf(stackWith()), NAME).volumes).not.toContainEqual({ name: 'home', emptyDir: {} })
  })

  it('lets the pod into the groups of its devices, and says so when nobody named them', () => {
    const noticesOf = (placement: object) =>
      inTemporaryDirectory((directory) => synthesize(stackOn({ kind: 'amd' }, {}, placement), directory).notices.join())
    expect(noticesOf({})).toMatch(/model llama: user 2000 must be allowed .*getent group render/)
    expect(noticesOf({ deviceGroups: [109] })).not.toMatch(/getent/)
    const pod = podOf(manifestsOf(stackOn({ kind: 'amd' }, {}, { deviceGroups: [109] })), NAME)
    expect(pod.securityContext.supplementalGroups).toEqual([109])
  })

  it('counts its GPUs by the parallelism when the stack does not', () => {
    const parallel = { tensorParallelSize: 4, pipelineParallelSize: 2 }
    const [container] = podOf(manifestsOf(stackOn(undefined, parallel)), NAME).containers
    expect(container.resources.limits).toEqual({ cpu: '64', memory: '256Gi', 'nvidia.com/gpu': '8' })
  })

  it.each([
    [
      'an image of another vendor',
      { accelerator: { kind: 'amd' } },
      /^models\[0\]\.image: vllm\/vllm-openai is built for nvidia/
    ],
    [
      'an image of AMD without an accelerator',
      { image: 'vllm/vllm-openai-rocm:v0.31.0' },
      /\.image: .* set accelerator/
    ],
    [
      'two slices of MIG',
      { accelerator: { kind: 'nvidia-mig', slice: '1g.10gb' }, gpus: 2 },
      /\.accelerator: 2 MIG slices/,
      2
    ],
    [
      'a slice that is none',
      { accelerator: { kind: 'nvidia-mig', slice: 'half' } },
      /\.accelerator\.slice: use the name of a slice/
    ],
    [
      'GPUs of a CPU',
      { accelerator: { kind: 'cpu' }, image: 'vllm/vllm-openai-cpu:v0.31.0-x86_64' },
      /\.gpus: accelerator cpu has none/
    ],
    ['a vendor that nobody has', { accelerator: { kind: 'tpu' } }, /^models\[0\]\.accelerator/]
  ])('refuses %s', (_title, model, problem, tensorParallelSize = 1) => {
    const problems = problemsOf(stackWith({ model, settings: { tensorParallelSize } }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(problem)
  })

  it('refuses a model with neither image nor version, and an image before vLLM made one', () => {
    const { vllmVersion: _version, ...model } = stackOn(undefined).models[0] as Manifest
    expect(problemsOf({ ...stackWith(), models: [model] })).toEqual([
      "models[0].image: name an image, or vllmVersion, as 0.31.0, for vLLM's own"
    ])
    const early = stackOn({ kind: 'intel-xpu' })
    expect(problemsOf({ ...early, models: [{ ...early.models[0], vllmVersion: '0.25.1' }] })).toEqual([
      expect.stringMatching(/^models\[0\]\.vllmVersion: vllm\/vllm-openai-xpu begins with 0\.26\.0/)
    ])
  })

  it('refuses KV cache on the host that leaves no memory for anything else', () => {
    expect(problemsOf(stackOn({ kind: 'cpu', kvCacheGiB: 28 }))).toEqual([
      expect.stringMatching(/^models\[0\]\.accelerator\.kvCacheGiB: 28 GiB and 4 GiB of shared memory/)
    ])
    expect(problemsOf(stackOn(undefined, { kvOffloadingSize: 30 }))).toEqual([
      expect.stringMatching(/^models\[0\]\.settings\.kvOffloadingSize: 30 GiB and 2 GiB of shared memory/)
    ])
  })
})
