// Nodes without machines, by kwok: one process plays all nodes of a zone, so that a zone can die as a whole.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ControlPlane } from './control-plane.ts'
import type { KubernetesObject } from './kubectl.ts'
import { eventually, type Started } from './processes.ts'
import { buildProgram } from './programs.ts'
import { type PodTimes, stagesOf } from './stages.ts'

export const ZONE_LABEL = 'topology.kubernetes.io/zone'
export const GPU = 'nvidia.com/gpu'
export const GPU_PRODUCT_LABEL = 'nvidia.com/gpu.product'

/** Nodes of one kind in each of some zones. */
export interface NodePool {
  /** Begins the nodes' names: `<name>-<zone>-<number>`. */
  readonly name: string
  readonly zones: readonly string[]
  /** Nodes in each zone. */
  readonly perZone: number
  /** GPUs of each node, which is then labelled and tainted as the GPU operator and clouds do it. @default none */
  readonly gpus?: { readonly product: string; readonly count: number }
  /** @default 64 */
  readonly cpus?: number
  /** @default 512 */
  readonly memoryGiB?: number
}

export interface FakeNodesOptions {
  readonly pools: readonly NodePool[]
  /** How long what a kubelet does takes; `at once` for clusters of thousands. @default tenths of a second */
  readonly podTimes?: PodTimes | 'at once'
  /** Images whose containers run and never get ready. @default none */
  readonly brokenImages?: readonly string[]
  /** Seconds that a node's lease is good for; it is renewed four times as often. @default 40, as the kubelet's */
  readonly leaseSeconds?: number
}

export interface FakeNodes {
  readonly names: readonly string[]
  /** Ends all nodes of a zone at once: their leases run out, and their pods stay as they were. */
  killZone(zone: string): Promise<void>
  /** Brings a killed zone back. */
  reviveZone(zone: string): Promise<void>
}

function renderNode(pool: NodePool, zone: string, index: number): object {
  const { gpus, cpus = 64, memoryGiB = 512 } = pool
  const name = `${pool.name}-${zone}-${index}`
  const capacity = {
    cpu: String(cpus),
    memory: `${memoryGiB}Gi`,
    pods: '110',
    'ephemeral-storage': '2Ti',
    ...(gpus === undefined ? {} : { [GPU]: String(gpus.count) })
  }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/os': 'linux',
        [ZONE_LABEL]: zone,
        ...(gpus === undefined ? {} : { [GPU_PRODUCT_LABEL]: gpus.product })
      }
    },
    ...(gpus === undefined ? {} : { spec: { taints: [{ key: GPU, value: 'present', effect: 'NoSchedule' }] } }),
    status: { capacity, allocatable: capacity }
  }
}

const isOfNode = ({ key }: { readonly key: string }) => key.startsWith('node.kubernetes.io/')

/** Ready nodes have a taint until their controller has seen it, and pods that are placed before spread over the others. */
async function waitForNodes({ kubectl }: ControlPlane, count: number, playing: () => Started[]): Promise<void> {
  const untainted = async () => {
    for (const process of playing()) process.assertAlive()
    // raw: kubectl would read and write all of 1,000 nodes at each look
    const { items } = JSON.parse(await kubectl.run(['get', '--raw=/api/v1/nodes']))
    return items.filter(({ spec }: KubernetesObject) => !spec.taints?.some(isOfNode)).length
  }
  await eventually(`${count} nodes are ready`, async () => (await untainted()) === count, {
    withinMs: 180_000,
    everyMs: 1000,
    state: async () => `${await untainted()} are`
  })
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Makes the nodes, and waits until the scheduler may use them. They end with the control plane's workshop. */
export async function startFakeNodes(plane: ControlPlane, options: FakeNodesOptions): Promise<FakeNodes> {
  const { kubectl, workshop } = plane
  const nodes = options.pools.flatMap((pool) =>
    pool.zones.flatMap((zone) => range(pool.perZone).map((index) => renderNode(pool, zone, index)))
  )
  const kwok = await buildProgram('kwok', 'kwok')
  const config = join(workshop.folder, 'stages.yaml')
  writeFileSync(config, await stagesOf(options.podTimes, options.brokenImages))
  const zones = [...new Set(options.pools.flatMap((pool) => pool.zones))]
  const kubeconfig = plane.kubeconfigOf('admin')
  const playZone = (zone: string): Started =>
    workshop.start(`kwok-${zone}`, kwok, [
      `--kubeconfig=${kubeconfig}`,
      `--config=${config}`,
      `--manage-nodes-with-label-selector=${ZONE_LABEL}=${zone}`,
      // addresses of their own: two endpoints with one address would count as one
      `--cidr=10.${128 + 8 * zones.indexOf(zone)}.0.1/13`,
      `--node-ip=192.0.2.${10 + zones.indexOf(zone)}`,
      `--node-lease-duration-seconds=${options.leaseSeconds ?? 40}`
    ])
  await kubectl.run(['create', '--filename=-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: nodes }))
  const playing = new Map(zones.map((zone) => [zone, playZone(zone)]))
  await waitForNodes(plane, nodes.length, () => [...playing.values()])
  return {
    names: nodes.map((node) => (node as { metadata: { name: string } }).metadata.name),
    async killZone(zone) {
      await playing.get(zone)?.stop(0)
    },
    async reviveZone(zone) {
      playing.set(zone, playZone(zone))
    }
  }
}
