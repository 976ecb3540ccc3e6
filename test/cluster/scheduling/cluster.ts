// A cluster that schedules and reconciles, over nodes that kwok plays: GPU nodes and others in three zones.
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../harness/control-plane.ts'
import { type FakeNodes, type FakeNodesOptions, type NodePool, startFakeNodes } from '../harness/fake-nodes.ts'
import { provideVolumes } from '../harness/storage.ts'

export const ZONES = ['zone-a', 'zone-b', 'zone-c'] as const

/** Two machines without a GPU in each zone. */
export const CPU_NODES: NodePool = { name: 'cpu', zones: ZONES, perZone: 2, cpus: 16, memoryGiB: 64 }

/** The GPUs of the committed stack: in each zone a node of four, and a node of eight. */
export const L40S_NODES: NodePool = {
  name: 'l40s',
  zones: ZONES,
  perZone: 1,
  gpus: { product: 'NVIDIA-L40S', count: 4 }
}
export const H100_NODES: NodePool = {
  name: 'h100',
  zones: ZONES,
  perZone: 1,
  gpus: { product: 'NVIDIA-H100-80GB-HBM3', count: 8 },
  memoryGiB: 2048
}

export interface Cluster extends AsyncDisposable {
  readonly plane: ControlPlane
  readonly kubectl: ControlPlane['kubectl']
  readonly nodes: FakeNodes
}

/**
 * A busy machine may be late with the leases of its nodes. Pods of a node that is not heard of count as unready until it
 * speaks again, and then a test that counts the fewest ready ones has seen it.
 */
const PATIENCE = '--node-monitor-grace-period=300s'

/** Starts it, with the storage classes that regions name. */
export async function startCluster(nodes: FakeNodesOptions, options: ControlPlaneOptions = {}): Promise<Cluster> {
  const controllerManagerArgs = [PATIENCE, ...(options.controllerManagerArgs ?? [])]
  const plane = await startControlPlane({ ...options, controllerManagerArgs, reconciles: true })
  try {
    const { kubectl } = plane
    await provideVolumes(kubectl, 8, ZONES)
    return {
      plane,
      kubectl,
      nodes: await startFakeNodes(plane, nodes),
      [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]()
    }
  } catch (cause) {
    await plane[Symbol.asyncDispose]()
    throw cause
  }
}
