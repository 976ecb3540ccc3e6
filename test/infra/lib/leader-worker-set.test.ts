// Engines on several nodes: groups of pods, who of them is reached, how they end, and what a cluster must have for it.
import { describe, expect, it } from 'vitest'
import { deriveTimeBudget, timeBudgetSchema } from '../../../gateway/contract.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { findViolations } from '../pod-security.ts'
import { find, type Manifest, manifestsOf, problemsOf, stackWith } from '../stacks.ts'

const NAME = 'engine-llama'
const region = { cluster: { apis: ['leader-worker-set'] } }
const settings = { tensorParallelSize: 8, pipelineParallelSize: 2 }
const groupsOf = (changes: Parameters<typeof stackWith>[0] = {}) =>
  manifestsOf(
    withoutGpus({
      region,
      ...changes,
      settings: { ...settings, ...changes.settings },
      model: { nodes: 2, ...changes.model }
    })
  )

/** GPUs follow from the parallelism. */
function withoutGpus(changes: Parameters<typeof stackWith>[0]) {
  const stack = stackWith(changes)
  return { ...stack, models: stack.models.map(({ gpus: _gpus, ...model }) => model) }
}

describe('an engine on several nodes', () => {
  const manifests = groupsOf({ placement: { replicas: 3 } })
  const set = find(manifests, 'LeaderWorkerSet', `${NAME}-lws`)
  const { leaderTemplate: leader, workerTemplate: worker, ...template } = set.spec.leaderWorkerTemplate

  it('is a group of pods that start anew as one, each with its share of the GPUs', async () => {
    expect(set.spec.replicas).toBe(3)
    expect(template).toEqual({ size: 2, restartPolicy: 'RecreateGroupOnPodRestart' })
    for (const { spec } of [leader, worker]) {
      expect(spec.containers[0].resources.limits).toEqual({ cpu: '64', memory: '256Gi', 'nvidia.com/gpu': '8' })
      expect(spec.enableServiceLinks).toBe(false)
      expect(findViolations(spec)).toEqual([])
    }
    expect(manifests.filter((one) => one.kind === 'Deployment').map((one) => one.metadata.name)).toEqual(['gateway'])
    expect(await findSchemaProblems(set)).toEqual([])
  })

  it('spells fractions out, which a CRD does not take as numbers', async () => {
    const cache = { kind: 'claim', claimName: 'weights', warmUp: true }
    const model = { nodes: 2, cpu: 2.5 }
    const fractional = groupsOf({ model, settings: { revision: 'a'.repeat(40) }, placement: { cache } })
    const one = find(fractional, 'LeaderWorkerSet', `${NAME}-lws`)
    const { spec } = one.spec.leaderWorkerTemplate.workerTemplate
    expect(spec.containers[0].resources.requests.cpu).toBe('2500m')
    expect(spec.initContainers[0].resources.requests.cpu).toBe('100m')
    expect(await findSchemaProblems(one)).toEqual([])
  })

  it('knows its rank and its leader from what the controller puts into each container', () => {
    const argsOf = ({ spec }: Manifest) => spec.containers[0].args
    const shared = [
      '--tensor-parallel-size=8',
      '--pipeline-parallel-size=2',
      '--nnodes=2',
      '--master-addr=$(LWS_LEADER_ADDRESS)'
    ]
    for (const one of [leader, worker]) expect(argsOf(one)).toEqual(expect.arrayContaining(shared))
    expect(argsOf(leader)).toContain('--node-rank=0')
    expect(argsOf(leader)).not.toContain('--headless')
    expect(argsOf(worker)).toEqual(expect.arrayContaining(['--node-rank=$(LWS_WORKER_INDEX)', '--headless']))
  })

  it('is reached through its leader alone, under the name that the gateway looks up', () => {
    const { selector } = find(manifests, 'Service', NAME).spec
    expect(leader.metadata.labels).toMatchObject(selector)
    expect(worker.metadata.labels).not.toMatchObject(selector)
    const [pool] = JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json']).pools
    expect(pool.engines.dns.host).toMatch(new RegExp(`^${NAME}\\.`))
    expect(leader.spec.containers[0].readinessProbe.httpGet.path).toBe('/health')
    for (const field of ['ports', 'startupProbe', 'readinessProbe', 'livenessProbe']) {
      expect(worker.spec.containers[0]).not.toHaveProperty(field)
    }
  })

  it('lets its leader end first: a worker waits out the drain before it gets SIGTERM', () => {
    const { engine } = deriveTimeBudget(timeBudgetSchema.parse({}))
    const sleepOf = ({ spec }: Manifest) => Number(spec.containers[0].lifecycle.preStop.exec.command[1])
    expect(sleepOf(leader)).toBe(engine.preStopSeconds)
    expect(sleepOf(worker)).toBe(engine.preStopSeconds + engine.shutdownTimeoutSeconds)
    for (const { spec } of [leader, worker]) {
      expect(spec.terminationGracePeriodSeconds).toBe(engine.terminationGraceSeconds)
      expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(sleepOf(worker))
    }
  })

  it('counts workers in the disruption budget, for the loss of one ends its group', () => {
    const { selector, maxUnavailable } = find(manifests, 'PodDisruptionBudget', NAME).spec
    const [rule] = selector.matchExpressions
    expect(maxUnavailable).toBe(1)
    for (const { metadata } of [leader, worker]) expect(rule.values).toContain(metadata.labels[rule.key])
  })

  it('rolls as the placement says', () => {
    const budgetOf = (placement: object) =>
      find(groupsOf({ placement }), 'LeaderWorkerSet', `${NAME}-lws`).spec.rolloutStrategy.rollingUpdateConfiguration
    expect(budgetOf({})).toEqual({ maxSurge: 1, maxUnavailable: 0 })
    expect(budgetOf({ replicas: 2 })).toEqual({ maxSurge: 0, maxUnavailable: 1 })
    expect(budgetOf({ replicas: 2, rollout: 'recreate' })).toEqual({ maxSurge: 0, maxUnavailable: '100%' })
  })

  it.each<[title: string, changes: Parameters<typeof stackWith>[0], problem: RegExp]>([
    [
      'a cluster without the API',
      { region: {} },
      /placements\[0\]\.model: an engine on 2 nodes is a LeaderWorkerSet; install it .* cluster\.apis/
    ],
    [
      'GPUs that nodes cannot share',
      { model: { nodes: 3 } },
      /models\[0\]\.nodes: 16 GPU\(s\) can't be shared out evenly over 3/
    ],
    [
      'a volume of one node',
      { placement: { rollout: 'recreate', cache: { kind: 'new-claim', sizeGiB: 9, accessMode: 'ReadWriteOnce' } } },
      /placements\[0\]\.cache\.accessMode: an engine on 2 nodes can't share/
    ],
    ['names that grow too long', { placement: { replicas: 100 } }, /placements\[0\]\.replicas: use at most 99/],
    ['a flag of its own', { settings: { extraArgs: ['--node-rank=1'] } }, /Sluice sets --node-rank itself: write nodes/]
  ])('refuses %s', (_title, changes, problem) => {
    const all = {
      region,
      ...changes,
      settings: { ...settings, ...changes?.settings },
      model: { nodes: 2, ...changes?.model }
    }
    expect(problemsOf(withoutGpus(all))).toEqual([expect.stringMatching(problem)])
  })
})

describe('the schema of a LeaderWorkerSet', () => {
  it('refuses an unknown field, outside of the pods and inside', async () => {
    const set = find(groupsOf(), 'LeaderWorkerSet', `${NAME}-lws`)
    set.spec.leaderWorkerTemplate.sise = 2
    set.spec.leaderWorkerTemplate.workerTemplate.spec.hostNetwrk = true
    const problems = (await findSchemaProblems(set)).join('\n')
    expect(problems).toMatch(/leaderWorkerTemplate: .*sise/)
    expect(problems).toMatch(/hostNetwrk: unknown field/)
  })
})
