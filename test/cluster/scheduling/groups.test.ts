// Engines on several nodes, made by LeaderWorkerSet's own controller: a group is placed, serves, rolls and drains as one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { model, placement, region, stackOf } from '../../infra/stacks.ts'
import type { Kubectl } from '../harness/kubectl.ts'
import { startLeaderWorkerSets } from '../harness/leader-worker-sets.ts'
import { eventually } from '../harness/processes.ts'
import { countReady, countTogether } from '../harness/watch.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, CPU_NODES, H100_NODES, startCluster } from './cluster.ts'
import { apply, objectsOf, podsOf, untilEvictable } from './regions.ts'

const NAMESPACE = 'sluice'
const LEADERS = 'app.kubernetes.io/instance=engine-big'
const WORKERS = 'app.kubernetes.io/instance=engine-big-worker'

/** Engines, each of two pods with all GPUs of a node. */
const stackAt = (version: string, replicas = 2) =>
  stackOf({
    models: [
      model({
        name: 'big',
        servedName: 'big',
        image: `vllm/vllm-openai:v${version}`,
        gpus: 16,
        nodes: 2,
        settings: { model: 'org/big', tensorParallelSize: 8, pipelineParallelSize: 2 }
      })
    ],
    regions: [
      region({
        cluster: { apis: ['leader-worker-set'] },
        placements: [
          placement({
            model: 'big',
            replicas,
            nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' },
            tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]
          })
        ]
      })
    ]
  })

describe.skipIf(isSkipped('scheduling'))('an engine on several nodes', () => {
  let cluster: Cluster
  let kubectl: Kubectl

  beforeAll(async () => {
    const nodes = {
      pools: [CPU_NODES, { ...H100_NODES, perZone: 2 }],
      // a leader is ready when its model is loaded, which is long after its workers have come
      podTimes: { readyMs: 3000 }
    }
    // on by default from Kubernetes 1.37 on, and what an old controller of groups stumbles over
    cluster = await startCluster(nodes, { apiServerArgs: ['--feature-gates=MaxUnavailableStatefulSet=true'] })
    kubectl = cluster.kubectl
    await startLeaderWorkerSets(cluster.plane)
    await apply(kubectl, objectsOf(stackAt('0.31.0')))
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  /** The first `count` groups are there and no other, as one that a rollout adds for its own time. */
  const settled = (version: string, count = 2) =>
    eventually(
      `${count} groups of ${version} are ready`,
      async () => {
        const leaders = await podsOf(kubectl, NAMESPACE, LEADERS)
        const pods = [...leaders, ...(await podsOf(kubectl, NAMESPACE, WORKERS))]
        const isGood = pods.every(({ ready, ending, image }) => ready && !ending && image.endsWith(version))
        const areFirst = leaders.every(({ name }) => Number(name.split('-').at(-1)) < count)
        return pods.length === 2 * count && isGood && areFirst ? pods : undefined
      },
      { withinMs: 120_000, state: async () => JSON.stringify(await podsOf(kubectl, NAMESPACE), null, 1) }
    )

  it('has each of its pods on a GPU node of its own, and only leaders behind its Service', async () => {
    const pods = await settled('0.31.0')
    expect(pods.every(({ node }) => node?.startsWith('h100-'))).toBe(true)
    expect(new Set(pods.map(({ node }) => node)).size).toBe(4)
    const leaders = await podsOf(kubectl, NAMESPACE, LEADERS)
    expect(new Set(leaders.map(({ zone }) => zone)).size).toBe(2)
    await using _both = await countReady(kubectl, NAMESPACE, 'engine-big', 2)
  })

  it('rolls one group at a time', async () => {
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-big', 2)
    await apply(kubectl, objectsOf(stackAt('0.31.1')))
    await settled('0.31.1')
    await ready.seen(1)
    await eventually('both groups serve', () => ready.now === 2)
    expect(ready.fewest).toBe(1)
  })

  it('loses one group alone when the nodes of both are drained', async () => {
    await settled('0.31.1')
    // no node takes a pod of the first group: it is away until the second one has been asked for
    await kubectl.run(['cordon', ...cluster.nodes.names.filter((name) => name.startsWith('h100-'))])
    const nodes = (await podsOf(kubectl, NAMESPACE, LEADERS)).flatMap(({ node }) => node ?? [])
    await untilEvictable(kubectl, NAMESPACE, 'engine-big', 4)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-big', 2)
    const refused = await kubectl.try(['drain', ...nodes, '--delete-emptydir-data', '--timeout=4s'])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("would violate the pod's disruption budget")
    await ready.seen(1)
    expect(ready.fewest).toBe(1)
    await kubectl.run(['uncordon', ...cluster.nodes.names])
    await settled('0.31.1')
    await eventually('both groups serve', () => ready.now === 2)
    expect(ready.fewest).toBe(1)
  })

  it('has the new group ready before the old one goes, where it is the only one', async () => {
    await apply(kubectl, objectsOf(stackAt('0.31.1', 1)))
    await settled('0.31.1', 1)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-big', 1)
    await using together = await countTogether(kubectl, NAMESPACE, LEADERS)
    await apply(kubectl, objectsOf(stackAt('0.31.2', 1)))
    await settled('0.31.2', 1)
    await eventually('both groups have been ready', () => together.most > 1)
    await eventually('one group serves', () => ready.now === 1)
    expect([ready.fewest, together.most]).toEqual([1, 2])
  })
})
