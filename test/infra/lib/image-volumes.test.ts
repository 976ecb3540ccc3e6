// Weights that come as an image: the volume survives the typed kinds, and engines find the weights there.
import { describe, expect, it } from 'vitest'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { findViolations } from '../pod-security.ts'
import { find, manifestsOf, podOf, problemsOf, stackWith } from '../stacks.ts'

const NAME = 'engine-llama'
const cache = { kind: 'oci-image', reference: `registry.example.com/llama@sha256:${'a'.repeat(64)}` }
const cluster = { kubernetes: '1.35' }
const withImage = (settings: object = { model: '/models' }, region: object = { cluster }) => {
  const stack = stackWith({ settings, placement: { cache } })
  return { ...stack, regions: stack.regions.map((one) => ({ ...one, ...region })) }
}

describe('an image as the cache', () => {
  it('is a volume of the pod in the written YAML, mounted read-only, beside a bounded writable one', async () => {
    const manifests = manifestsOf(withImage())
    const pod = podOf(manifests, NAME)
    const [engine] = pod.containers
    expect(pod.volumes).toContainEqual({
      name: 'model-image',
      image: { reference: cache.reference, pullPolicy: 'IfNotPresent' }
    })
    expect(engine.volumeMounts).toContainEqual({ name: 'model-image', mountPath: '/models', readOnly: true })
    expect(pod.volumes).toContainEqual({ name: 'model-cache', emptyDir: { sizeLimit: '20Gi' } })
    expect(engine.args[0]).toBe('/models')
    expect(engine.env).toContainEqual({ name: 'HF_HUB_OFFLINE', value: '1' })
    expect(findViolations(pod)).toEqual([])
    expect(await findSchemaProblems(find(manifests, 'Deployment', NAME))).toEqual([])
  })

  it('reaches every pod of an engine on several nodes', () => {
    const stack = withImage(
      { model: '/models', tensorParallelSize: 2 },
      { cluster: { ...cluster, apis: ['leader-worker-set'] } }
    )
    const models = stack.models.map((one) => ({ ...one, gpus: 2, nodes: 2 }))
    const set = find(manifestsOf({ ...stack, models } as typeof stack), 'LeaderWorkerSet', `${NAME}-lws`)
    const { leaderTemplate, workerTemplate } = set.spec.leaderWorkerTemplate
    for (const { spec } of [leaderTemplate, workerTemplate]) {
      expect(spec.volumes).toContainEqual(expect.objectContaining({ name: 'model-image' }))
    }
  })

  it('is refused on a Kubernetes without image volumes, and where the model is elsewhere', () => {
    expect(problemsOf(withImage(undefined, {}))).toEqual([
      expect.stringMatching(/placements\[0\]\.cache\.kind: oci-image needs Kubernetes 1\.35, and .* is 1\.28/)
    ])
    expect(problemsOf(withImage({ model: 'org/name' }))).toEqual([
      expect.stringMatching(/cache\.kind: the image is mounted at \/models, and settings\.model is org\/name/)
    ])
  })
})
