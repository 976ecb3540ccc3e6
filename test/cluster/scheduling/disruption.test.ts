// What happens to nodes: drains keep to the budgets, and a zone that dies leaves what can move to the others.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { model, placement, region, stackOf } from '../../infra/stacks.ts'
import type { Kubectl } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { countReady } from '../harness/watch.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, CPU_NODES, L40S_NODES, startCluster } from './cluster.ts'
import { apply, objectsOf, podsOf, untilEvictable, waitForReady } from './regions.ts'

const NAMESPACE = 'sluice'
const GATEWAY = 'app.kubernetes.io/name=sluice-gateway'
const SHARED = 'app.kubernetes.io/instance=engine-llama'
const OWN_DISK = 'app.kubernetes.io/instance=engine-qwen'
const BROKEN_IMAGE = 'ghcr.io/sluice/gateway:0.1.99'

const UNREACHABLE = 'node.kubernetes.io/unreachable'

const onL40S = (name: string, changes: object) =>
  placement({
    model: name,
    nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-L40S' },
    tolerations: [
      { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
      { key: UNREACHABLE, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 2 }
    ],
    ...changes
  })

/** Three gateways, three engines that can go anywhere, and one whose disk is in a zone. */
const stackOfThree = (image = 'ghcr.io/sluice/gateway:0.1.0', replicas = 3) =>
  stackOf({
    models: [model(), model({ name: 'qwen', servedName: 'qwen' })],
    regions: [
      region({
        gateway: { ...region().gateway, image, replicas },
        placements: [
          onL40S('llama', { replicas: 3 }),
          onL40S('qwen', {
            rollout: 'recreate',
            cache: { kind: 'new-claim', sizeGiB: 100, accessMode: 'ReadWriteOnce' }
          })
        ]
      })
    ]
  })

describe.skipIf(isSkipped('scheduling'))('a region whose nodes go', () => {
  let cluster: Cluster
  let kubectl: Kubectl

  beforeAll(async () => {
    const nodes = {
      pools: [CPU_NODES, L40S_NODES],
      brokenImages: [BROKEN_IMAGE],
      podTimes: { readyMs: 1000 },
      leaseSeconds: 12
    }
    cluster = await startCluster(nodes, {
      // a node counts as dead in 40 seconds, which a busy machine may stand still for half of, and a gateway on it as lost
      // at once: by default in 50, and in 300 more
      apiServerArgs: ['--default-unreachable-toleration-seconds=1'],
      controllerManagerArgs: ['--node-monitor-grace-period=40s', '--node-monitor-period=1s', '--node-eviction-rate=10']
    })
    kubectl = cluster.kubectl
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  const uncordonAll = () => kubectl.run(['uncordon', ...cluster.nodes.names])
  const drain = (nodes: readonly string[], timeout: string) =>
    kubectl.try(['drain', ...nodes, '--ignore-daemonsets', '--delete-emptydir-data', `--timeout=${timeout}`])
  const nodesOf = async (labels: string) => [
    ...new Set((await podsOf(kubectl, NAMESPACE, labels)).flatMap(({ node }) => node ?? []))
  ]
  const settle = async () => {
    await apply(kubectl, objectsOf(stackOfThree()))
    await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    await waitForReady(kubectl, NAMESPACE, SHARED, 3)
    await waitForReady(kubectl, NAMESPACE, OWN_DISK, 1)
  }

  it('loses one gateway at a time when the node that has them all is drained', async () => {
    const cpuNodes = cluster.nodes.names.filter((name) => name.startsWith('cpu-'))
    await kubectl.run(['cordon', ...cpuNodes.slice(1)])
    await settle()
    expect(await nodesOf(GATEWAY)).toEqual([cpuNodes[0]])
    // the scheduler comes to know of both by itself: a drain alone may evict before it knows where nothing is to go
    await kubectl.run(['cordon', cpuNodes[0] ?? ''])
    await kubectl.run(['uncordon', ...cpuNodes.slice(1)])
    await using ready = await countReady(kubectl, NAMESPACE, 'gateway', 3)
    expect(await drain([cpuNodes[0] ?? ''], '90s')).toMatchObject({ code: 0 })
    await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    await ready.seen(2)
    expect(ready.fewest).toBe(2)
    expect(await nodesOf(GATEWAY)).not.toContain(cpuNodes[0])
    await uncordonAll()
  })

  it('loses one engine at a time when all of their nodes are drained at once', async () => {
    const before = await nodesOf(SHARED)
    expect(before).toHaveLength(3)
    await untilEvictable(kubectl, NAMESPACE, 'engine-llama', 3)
    // nothing is left to move to: the drain has to wait with two engines serving
    await kubectl.run(['cordon', ...before])
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 3)
    const refused = await drain(before, '4s')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("would violate the pod's disruption budget")
    await ready.seen(2)
    expect(ready.fewest).toBe(2)
    await uncordonAll()
    await settle()
  })

  it('refuses a second drain while what the first one took is not back', async () => {
    const engines = await podsOf(kubectl, NAMESPACE, SHARED)
    const countOn = (node: string) => engines.filter((one) => one.node === node).length
    // what was drained before may have left two engines on one node
    const [first = '', second = ''] = (await nodesOf(SHARED)).sort((a, b) => countOn(a) - countOn(b))
    expect(countOn(first)).toBe(1)
    const others = cluster.nodes.names.filter((name) => name.startsWith('l40s-') && name !== first && name !== second)
    // all of them before the drain: what the scheduler does not know to be cordoned yet would take the engine
    await kubectl.run(['cordon', ...others, first, second])
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 3)
    expect(await drain([first], '30s')).toMatchObject({ code: 0 })
    const refused = await drain([second], '4s')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("would violate the pod's disruption budget")
    await ready.seen(2)
    expect(ready.fewest).toBe(2)
    await uncordonAll()
    await settle()
    expect(await drain([second], '60s')).toMatchObject({ code: 0 })
    await waitForReady(kubectl, NAMESPACE, SHARED, 3)
    expect(ready.fewest).toBe(2)
    await uncordonAll()
  })

  it('lets a gateway go that never got ready, though the budget is used up', async () => {
    await apply(kubectl, objectsOf(stackOfThree(BROKEN_IMAGE, 3)))
    const broken = await eventually('a broken gateway runs', async () => {
      const pods = await podsOf(kubectl, NAMESPACE, GATEWAY)
      return pods.find(({ image, phase }) => image === BROKEN_IMAGE && phase === 'Running')
    })
    await using ready = await countReady(kubectl, NAMESPACE, 'gateway', 3)
    const shared = (await podsOf(kubectl, NAMESPACE, GATEWAY)).filter(({ node }) => node === broken.node)
    expect(await drain([broken.node ?? ''], '30s')).toMatchObject({ code: 0 })
    const fewest = shared.length > 1 ? 2 : 3
    await ready.seen(fewest)
    expect(ready.fewest).toBe(fewest)
    await uncordonAll()
    await settle()
  })

  it('holds on to lost engines for as long as their placement says, where Kubernetes would for five minutes', async () => {
    const { items } = await kubectl.get('pods', `--namespace=${NAMESPACE}`, `--selector=${SHARED}`)
    for (const { spec } of items) {
      const own = spec.tolerations.filter(({ key }: { key: string }) => key === UNREACHABLE)
      expect(own).toEqual([{ key: UNREACHABLE, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 2 }])
    }
  })

  it('moves what can move when a zone dies, keeps what its disk holds, and takes it back after', async () => {
    await settle()
    const [engine] = await podsOf(kubectl, NAMESPACE, OWN_DISK)
    const zone = engine?.zone ?? ''
    const lost = (await podsOf(kubectl, NAMESPACE, SHARED)).filter((pod) => pod.zone === zone)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 3)
    await cluster.nodes.killZone(zone)
    const isAlive = ({ zone: of, ending, ready }: { zone?: string | undefined; ending: boolean; ready: boolean }) =>
      of !== zone && !ending && ready
    const alive = async (labels: string) => (await podsOf(kubectl, NAMESPACE, labels)).filter(isAlive)
    await eventually(
      'three gateways and three engines run in the other zones',
      async () => {
        const [gateways, engines] = [await alive(GATEWAY), await alive(SHARED)]
        return gateways.length === 3 && engines.length === 3
      },
      { withinMs: 120_000, state: async () => JSON.stringify(await podsOf(kubectl, NAMESPACE), null, 1) }
    )
    await ready.seen(3 - lost.length)
    expect(ready.fewest).toBe(3 - lost.length)
    // each node counts as lost by itself, perhaps that of this engine as the last one
    await eventually('the engine whose disk is there is to end', async () => {
      const now = await podsOf(kubectl, NAMESPACE, OWN_DISK)
      return now.some(({ name, ending }) => name === engine?.name && ending)
    })
    expect(await alive(OWN_DISK)).toEqual([])
    await cluster.nodes.reviveZone(zone)
    const [back] = await waitForReady(kubectl, NAMESPACE, OWN_DISK, 1)
    expect(back?.zone).toBe(zone)
    await waitForReady(kubectl, NAMESPACE, SHARED, 3)
    await eventually('three engines serve', () => ready.now === 3)
  })
})
