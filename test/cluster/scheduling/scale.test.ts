// A region of the largest size: all of its engines are placed, exactly as many as there are GPUs for.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { model, placement, region, stackOf } from '../../infra/stacks.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, startCluster, ZONES } from './cluster.ts'
import { apply, objectsOf } from './regions.ts'

/** Nodes of the cluster; a quarter of them have eight GPUs each. */
const NODES = Number(process.env.SLUICE_CLUSTER_NODES ?? 1000)
if (!Number.isInteger(NODES / 4) || NODES < 12)
  throw new Error('SLUICE_CLUSTER_NODES: a multiple of 4, and 12 at least')
const GPU_NODES = NODES / 4
const GPUS_PER_NODE = 8
const ENGINES = GPU_NODES * GPUS_PER_NODE
const MODELS = ['llama', 'qwen', 'mistral', 'gemma']

/** The most that etcd, the API, its controllers and the scheduler may hold together, in MiB. */
const MEMORY_MIB = 4096

const largeRegion = stackOf({
  models: MODELS.map((name) => model({ name, servedName: name })),
  regions: [
    region({
      gateway: { ...region().gateway, replicas: 10 },
      placements: MODELS.map((name) =>
        placement({
          model: name,
          replicas: ENGINES / MODELS.length,
          nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-L40S' },
          tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]
        })
      )
    })
  ]
})

describe.skipIf(isSkipped('scheduling'))('a region of the largest size', () => {
  let cluster: Cluster

  beforeAll(async () => {
    const started = Date.now()
    const gpus = { product: 'NVIDIA-L40S', count: GPUS_PER_NODE }
    // as many in each zone as in the others, or one more
    const shares = ZONES.map((zone, index) => ({ zone, count: Math.floor((GPU_NODES + index) / ZONES.length) }))
    cluster = await startCluster(
      {
        pools: [
          ...shares.map(({ zone, count }) => ({ name: 'gpu', zones: [zone], perZone: count, gpus, memoryGiB: 1024 })),
          ...shares.map(({ zone, count }) => ({ name: 'cpu', zones: [zone], perZone: count * 3 }))
        ],
        podTimes: 'at once',
        leaseSeconds: 120
      },
      {
        controllerManagerArgs: [
          '--kube-api-qps=1000',
          '--kube-api-burst=1000',
          '--concurrent-replicaset-syncs=20',
          '--endpointslice-updates-batch-period=1s'
        ],
        schedulerArgs: ['--kube-api-qps=1000', '--kube-api-burst=1000']
      }
    )
    report(`${NODES} nodes are ready after ${seconds(started)} s`)
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  it(`places ${ENGINES} engines on ${NODES} nodes, as many on each as it has GPUs`, async () => {
    const { kubectl } = cluster
    const started = Date.now()
    await apply(kubectl, objectsOf(largeRegion))
    const readyEngines = async () => {
      const { items } = await kubectl.get('deployments', '--namespace=sluice', '--selector=app.kubernetes.io/name=vllm')
      return items.reduce((sum: number, one: KubernetesObject) => sum + (one.status.readyReplicas ?? 0), 0)
    }
    await eventually('every engine is ready', async () => (await readyEngines()) === ENGINES, {
      withinMs: 600_000,
      everyMs: 1000,
      state: async () => `${await readyEngines()} are`
    })
    report(`${ENGINES} engines are ready after ${seconds(started)} s`)
    const pods = await kubectl.run([
      'get',
      'pods',
      '--namespace=sluice',
      '--selector=app.kubernetes.io/name=vllm',
      '--output=jsonpath={range .items[*]}{.spec.nodeName}{"\\n"}{end}'
    ])
    const counts = new Map<string, number>()
    for (const node of pods.trim().split('\n')) counts.set(node, (counts.get(node) ?? 0) + 1)
    expect([...counts.keys()].every((node) => node.startsWith('gpu-'))).toBe(true)
    expect(counts.size).toBe(GPU_NODES)
    expect(new Set(counts.values())).toEqual(new Set([GPUS_PER_NODE]))
  }, 660_000)

  it('has every engine in its EndpointSlices, once', async () => {
    const readAddresses = async (name: string) => {
      const { items } = await cluster.kubectl.get(
        'endpointslices',
        '--namespace=sluice',
        `--selector=kubernetes.io/service-name=engine-${name}`
      )
      return items
        .flatMap(({ endpoints }: KubernetesObject) => endpoints ?? [])
        .filter((one: KubernetesObject) => one.conditions.ready)
        .flatMap((one: KubernetesObject) => one.addresses)
    }
    // the controller writes slices in batches after the pods are ready, and an engine may be in two of them meanwhile
    for (const name of MODELS) {
      let addresses: string[] = []
      await eventually(
        `the engines of ${name} are in its EndpointSlices, once`,
        async () => {
          addresses = await readAddresses(name)
          return addresses.length === ENGINES / MODELS.length && new Set(addresses).size === addresses.length
        },
        {
          withinMs: 120_000,
          everyMs: 1000,
          state: () => `${addresses.length} addresses are, ${new Set(addresses).size} of them different`
        }
      )
    }
  }, 300_000)

  it('leaves the control plane within its memory', () => {
    const held = cluster.plane.workshop.processes.map(({ name, child }) => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      return { name, mib: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024) }
    })
    report(held.map(({ name, mib }) => `${name} ${mib} MiB`).join(', '))
    const sum = held.reduce((total, { mib }) => total + mib, 0)
    expect(sum).toBeGreaterThan(0)
    expect(sum).toBeLessThan(MEMORY_MIB)
  })
})

const seconds = (since: number) => ((Date.now() - since) / 1000).toFixed(1)

/** A figure to read, and none to fail on. */
const report = (figure: string) => void process.stderr.write(`scale: ${figure}\n`)
