// Scaled engines as they stand in the written YAML.
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../../gateway/contract.ts'
import { synthesize } from '../../../infra/main.ts'
import type { RegionInput } from '../../../infra/schema.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import {
  find,
  inTemporaryDirectory,
  type Manifest,
  manifestsOf,
  model,
  placement,
  region,
  stackOf,
  watched
} from '../stacks.ts'

const NAME = 'engine-llama'
const scaled = (
  autoscaling: NonNullable<ReturnType<typeof placement>['autoscaling']>,
  changes: Parameters<typeof model>[0] = {}
) =>
  manifestsOf(
    stackOf({
      models: [model({ loadSeconds: 400, ...changes })],
      regions: [watched({ placements: [placement({ autoscaling })] })]
    })
  )
const specOf = (manifests: Manifest[]) => find(manifests, 'ScaledObject', NAME).spec
const queryOf = (manifests: Manifest[], name: string) =>
  specOf(manifests).triggers.find((trigger: Manifest) => trigger.name === name).metadata

describe('EngineAutoscaler', () => {
  it('owns the number of replicas alone', () => {
    expect(find(scaled({ maxReplicas: 4 }), 'Deployment', NAME).spec).not.toHaveProperty('replicas')
    expect(find(manifestsOf(stackOf()), 'Deployment', NAME).spec.replicas).toBe(1)
  })

  it('is an object that KEDA takes, for the Deployment that is there', async () => {
    const manifests = scaled({ minReplicas: 1, maxReplicas: 4 })
    expect(await findSchemaProblems(find(manifests, 'ScaledObject', NAME))).toEqual([])
    expect(specOf(manifests)).toMatchObject({
      scaleTargetRef: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        name: find(manifests, 'Deployment', NAME).metadata.name
      },
      minReplicaCount: 1,
      maxReplicaCount: 4
    })
  })

  it('scales the groups of an engine on several nodes, and watches the pods that serve', async () => {
    const spread = model({ loadSeconds: 400, gpus: 8, nodes: 2, settings: { model: 'org/big', tensorParallelSize: 8 } })
    const cluster = { apis: ['keda', 'leader-worker-set', 'prometheus-operator'] } satisfies RegionInput['cluster']
    const manifests = manifestsOf(
      stackOf({
        models: [spread],
        regions: [watched({ cluster, placements: [placement({ autoscaling: { minReplicas: 0, maxReplicas: 4 } })] })]
      })
    )
    const groups = find(manifests, 'LeaderWorkerSet', `${NAME}-lws`)
    expect(groups.spec).not.toHaveProperty('replicas')
    expect(await findSchemaProblems(groups)).toEqual([])
    const { apiVersion, kind, metadata } = groups
    expect(specOf(manifests).scaleTargetRef).toEqual({ apiVersion, kind, name: metadata.name })
    const { matchLabels } = find(manifests, 'PodMonitor', NAME).spec.selector
    expect(groups.spec.leaderWorkerTemplate.leaderTemplate.metadata.labels).toMatchObject(matchLabels)
    expect(groups.spec.leaderWorkerTemplate.workerTemplate.metadata.labels).not.toMatchObject(matchLabels)
  })

  it("asks for each sign by the labels that gateway and vLLM have, one value a query, and for none of another region's", () => {
    const manifests = scaled({ maxReplicas: 4, waitingPerEngine: 5, kvUsage: 0.7 })
    const where = 'namespace="sluice"'
    expect(queryOf(manifests, 'queued')).toMatchObject({
      query: `sum(sluice_queued_requests{${where},pool="llama"})`,
      threshold: '5'
    })
    expect(queryOf(manifests, 'active')).toMatchObject({
      query: `sum(sluice_active_requests{${where},pool="llama"})`,
      threshold: '204'
    })
    expect(queryOf(manifests, 'waiting')).toMatchObject({
      query: `sum(vllm:num_requests_waiting{${where},model_name="llama-3.1-8b-instruct"})`,
      threshold: '5'
    })
    expect(queryOf(manifests, 'kv-cache')).toMatchObject({
      query: `sum(vllm:kv_cache_usage_perc{${where},model_name="llama-3.1-8b-instruct"})`,
      threshold: '0.7'
    })
  })

  it('takes a query without a value for an error, not for a calm', () => {
    for (const minReplicas of [0, 1]) {
      const { triggers, fallback } = specOf(scaled({ minReplicas, maxReplicas: 4 }))
      expect(triggers).toHaveLength(4)
      for (const { metadata } of triggers) expect(metadata.ignoreNullValues).toBe('false')
      expect(fallback).toBeUndefined()
    }
  })

  it('from zero looks at the queue, and misses no engine that is not there', () => {
    const manifests = scaled({ minReplicas: 0, maxReplicas: 4 })
    expect(specOf(manifests).minReplicaCount).toBe(0)
    expect(queryOf(manifests, 'queued')).toMatchObject({ activationThreshold: '0' })
    expect(queryOf(manifests, 'queued').query).not.toContain('vector(0)')
    expect(Number(queryOf(manifests, 'kv-cache').activationThreshold)).toBeGreaterThan(0)
    for (const name of ['waiting', 'kv-cache']) expect(queryOf(manifests, name).query).toMatch(/ or vector\(0\)$/)
  })

  it('lets the gateway be ready and hold requests until the first engine is loaded', () => {
    const poolOf = (manifests: Manifest[]) =>
      configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json'])).pools[0]
    expect(poolOf(scaled({ minReplicas: 0, maxReplicas: 4 }))).toMatchObject({
      waitForEngine: true,
      queueMs: (15 + 60 + 400) * 1000
    })
    expect(poolOf(scaled({ minReplicas: 1, maxReplicas: 4 }))).toMatchObject({ waitForEngine: false, queueMs: 30_000 })
    const written = manifestsOf(stackOf({ regions: [region({ placements: [placement({ queueMs: 7000 })] })] }))
    expect(poolOf(written)?.queueMs).toBe(7000)
  })

  it.each([
    ['as long as the model may load', {}, { loadSeconds: 900 }, 900],
    ['five minutes at least', {}, { loadSeconds: 60 }, 300],
    ['as long as the stack says', { cooldownSeconds: 0 }, { loadSeconds: 900 }, 0],
    ['an hour at most before one goes', { cooldownSeconds: 7200 }, {}, 3600]
  ] as const)('waits for a calm %s', (_title, scaling, changes, seconds) => {
    const { cooldownPeriod, advanced } = specOf(scaled({ maxReplicas: 4, ...scaling }, changes))
    expect(advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds).toBe(seconds)
    expect(cooldownPeriod).toBeGreaterThanOrEqual(seconds)
  })

  it('is made for those who ask for it only', () => {
    const kinds = manifestsOf(stackOf({ regions: [watched()] })).map(({ kind }) => kind)
    expect(kinds).not.toContain('ScaledObject')
    expect(kinds).not.toContain('HorizontalPodAutoscaler')
  })

  it('is missed where the network lets nobody read the metrics that it scales by', () => {
    const noticesOf = (changes: Partial<RegionInput>) =>
      inTemporaryDirectory((directory) => {
        const placements = [placement({ autoscaling: { maxReplicas: 3 } })]
        return synthesize(stackOf({ regions: [watched({ placements, ...changes })] }), directory).notices
      }).join()
    const shut = /KEDA scales by metrics .* name the Prometheus in network\.prometheus/
    const cluster = { apis: ['keda'] } satisfies RegionInput['cluster']
    expect(noticesOf({ cluster })).toMatch(shut)
    expect(noticesOf({ network: { prometheus: 'none' } })).toMatch(shut)
    expect(noticesOf({})).not.toMatch(shut)
    expect(noticesOf({ cluster, network: { prometheus: { namespace: 'metrics' } } })).not.toMatch(shut)
    expect(noticesOf({ cluster, networkPolicy: 'none' })).not.toMatch(shut)
  })
})
