// Engines as they stand in the written YAML: GPUs, probes, drain, rollout, secrets.
import { describe, expect, it } from 'vitest'
import { deriveTimeBudget, timeBudgetSchema } from '../../../gateway/contract.ts'
import { find, type Manifest, manifestsOf, model, placement, podOf, region, stackOf } from '../stacks.ts'

const NAME = 'engine-llama'
const engineOf = (changes: Parameters<typeof model>[0], placed: Parameters<typeof placement>[0] = {}) =>
  manifestsOf(stackOf({ models: [model(changes)], regions: [region({ placements: [placement(placed)] })] }))
const containerOf = (manifests: Manifest[]) => podOf(manifests, NAME).containers[0]
const settings = model().settings

describe('VllmDeployment', () => {
  it('asks for its GPUs, in requests and limits of the written YAML', () => {
    const four = containerOf(engineOf({ gpus: 4, settings: { ...settings, tensorParallelSize: 4 } }))
    expect(four.resources.limits['nvidia.com/gpu']).toBe('4')
    expect(four.resources.requests['nvidia.com/gpu']).toBe('4')
    expect(four.args).toContain('--tensor-parallel-size=4')
    const amd = containerOf(engineOf({ gpuResource: 'amd.com/gpu' }))
    expect(amd.resources.limits).toEqual({ cpu: '8', memory: '32Gi', 'amd.com/gpu': '1' })
  })

  it('keeps its selector when the version changes, and no version in it', () => {
    const selectorOf = (image: string) => find(engineOf({ image }), 'Deployment', NAME).spec.selector.matchLabels
    expect(selectorOf('vllm/vllm-openai:v0.30.0')).toEqual(selectorOf('vllm/vllm-openai:v0.31.0'))
    expect(Object.keys(selectorOf('vllm/vllm-openai:v0.31.0')).sort()).toEqual([
      'app.kubernetes.io/instance',
      'app.kubernetes.io/name'
    ])
  })

  it('is found by a headless Service that names ready pods only', () => {
    const manifests = engineOf({})
    const { spec } = find(manifests, 'Service', NAME)
    const deployment = find(manifests, 'Deployment', NAME)
    expect(spec.clusterIP).toBe('None')
    expect(spec).not.toHaveProperty('publishNotReadyAddresses')
    expect(deployment.spec.template.metadata.labels).toMatchObject(spec.selector)
    expect(find(manifests, 'PodDisruptionBudget', NAME).spec.selector.matchLabels).toEqual(spec.selector)
  })

  it('lets the model load for as long as the stack allows, in probe, engine and rollout', () => {
    const manifests = engineOf({ loadSeconds: 1234 })
    const container = containerOf(manifests)
    const { periodSeconds, failureThreshold } = container.startupProbe
    expect(periodSeconds * failureThreshold).toBeGreaterThanOrEqual(1234)
    expect(periodSeconds * failureThreshold).toBeLessThan(1234 + periodSeconds)
    expect(container.env).toContainEqual({ name: 'VLLM_ENGINE_READY_TIMEOUT_S', value: '1234' })
    expect(find(manifests, 'Deployment', NAME).spec.progressDeadlineSeconds).toBeGreaterThan(1234)
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      expect(container[probe].httpGet).toEqual({ path: '/health', port: 'http' })
    }
  })

  it('drains for as long as the budget says: preStop, then vLLM, then its teardown, within the grace period', () => {
    const budget = { streamMs: 300_000, drainMs: 240_000, propagationMs: 20_500, firstTokenMs: 60_000 }
    const pod = podOf(manifestsOf(stackOf({ regions: [region({ budget })] })), NAME)
    const { engine } = deriveTimeBudget(timeBudgetSchema.parse(budget))
    const [container] = pod.containers
    expect(container.lifecycle.preStop).toEqual({ exec: { command: ['sleep', '21'] } })
    expect(container.args).toContain('--shutdown-timeout=240')
    expect(pod.terminationGracePeriodSeconds).toBe(engine.terminationGraceSeconds)
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(21 + 240)
    expect(container.env).toContainEqual({ name: 'VLLM_HTTP_TIMEOUT_KEEP_ALIVE', value: `${engine.keepAliveSeconds}` })
  })

  it('has shared memory whatever the parallelism, and no Service variables', () => {
    for (const changes of [{}, { gpus: 2, settings: { ...settings, tensorParallelSize: 2 } }]) {
      const pod = podOf(engineOf(changes), NAME)
      const shared = pod.volumes.find((volume: Manifest) => volume.emptyDir?.medium === 'Memory')
      expect(pod.containers[0].volumeMounts).toContainEqual({ name: shared.name, mountPath: '/dev/shm' })
      expect(pod.enableServiceLinks).toBe(false)
    }
  })

  it('takes tokens from Secrets by name, and keeps what vLLM writes in the cache', () => {
    const token = { name: 'hub', key: 'token' }
    const container = containerOf(engineOf({ hfTokenSecret: token, engineKeySecret: { name: 'key', key: 'k' } }))
    expect(container.env).toContainEqual({ name: 'HF_TOKEN', valueFrom: { secretKeyRef: token } })
    expect(container.env).toContainEqual({
      name: 'VLLM_API_KEY',
      valueFrom: { secretKeyRef: { name: 'key', key: 'k' } }
    })
    const more = containerOf(engineOf({ secretEnv: { AWS_SECRET_ACCESS_KEY: token } }))
    expect(more.env).toContainEqual({ name: 'AWS_SECRET_ACCESS_KEY', valueFrom: { secretKeyRef: token } })
    const { mountPath } = container.volumeMounts.find((mount: Manifest) => mount.name === 'model-cache')
    for (const name of ['HF_HOME', 'VLLM_CACHE_ROOT']) {
      expect(container.env.find((one: Manifest) => one.name === name).value.startsWith(`${mountPath}/`)).toBe(true)
    }
    expect(container.env).toContainEqual({ name: 'VLLM_NO_USAGE_STATS', value: '1' })
  })

  it('switches with numbers: vLLM ends at its start on a word that it reads with int()', () => {
    const { env } = containerOf(engineOf({}))
    expect(env).toContainEqual({ name: 'VLLM_MEDIA_URL_ALLOW_REDIRECTS', value: '0' })
    for (const { name, value } of env) expect(value, name).not.toMatch(/^(true|false|yes|no|on|off)$/i)
  })

  it('never takes the last replica down, unless the stack says recreate', () => {
    const strategyOf = (placed: Parameters<typeof placement>[0]) =>
      find(engineOf({}, placed), 'Deployment', NAME).spec.strategy
    const rolling = (maxSurge: number, maxUnavailable: number) => ({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge, maxUnavailable }
    })
    expect(strategyOf({})).toEqual(rolling(1, 0))
    expect(strategyOf({ replicas: 2 })).toEqual(rolling(0, 1))
    expect(strategyOf({ replicas: 2, rollout: 'surge' })).toEqual(rolling(1, 0))
    expect(strategyOf({ rollout: 'recreate' })).toEqual({ type: 'Recreate' })
  })

  it('passes on where it may run', () => {
    const tolerations = [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] as const
    const where = { nodeSelector: { gpu: 'h100' }, priorityClassName: 'inference', runtimeClassName: 'nvidia' }
    const pod = podOf(engineOf({}, { ...where, tolerations: [...tolerations] }), NAME)
    expect(pod).toMatchObject({ ...where, tolerations })
    expect(pod.topologySpreadConstraints.map((one: Manifest) => one.topologyKey)).toEqual([
      'topology.kubernetes.io/zone',
      'kubernetes.io/hostname'
    ])
  })
})
