import { join } from 'node:path'
import { PATHS, PORTS } from '../../../gateway/contract.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { NAMESPACE } from './region.ts'
import { ENGINE, POOL } from './streams.ts'

const WATCH = join(import.meta.dirname, '..', 'harness', 'engines-watch.ts')

async function gatewayAddresses({ plane }: Cluster): Promise<string[]> {
  const selector = 'app.kubernetes.io/instance=gateway'
  const { items } = await plane.kubectl.get('pods', '--namespace', NAMESPACE, '--selector', selector)
  return items.map(({ status }: KubernetesObject) => status.podIP)
}

const countReady = (slices: readonly KubernetesObject[]): number =>
  slices.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions.ready).length

/** @returns when the engine's EndpointSlice had `count` ready endpoints, by this machine's clock */
async function untilSlice({ plane }: Cluster, count: number): Promise<number> {
  const selector = `kubernetes.io/service-name=${ENGINE}`
  return eventually(
    `an EndpointSlice of ${ENGINE} with ${count} ready endpoints`,
    async () => {
      const askedMs = Date.now()
      const { items } = await plane.kubectl.get('endpointslices', '--namespace', NAMESPACE, '--selector', selector)
      return countReady(items) === count && askedMs
    },
    { withinMs: 120_000, everyMs: 20 }
  )
}

/**
 * Changes the number of engines.
 * @returns how many milliseconds after the EndpointSlice the last gateway knew of it
 */
export async function noticeEngines(cluster: Cluster, count: number, change: () => Promise<unknown>): Promise<number> {
  const watches = (await gatewayAddresses(cluster)).map((address) => {
    const url = `http://${address}:${PORTS.gateway}${PATHS.metrics}`
    return cluster.spaces[0].run(process.execPath, WATCH, url, POOL, `${count}`)
  })
  await change()
  const [sliceMs, ...knownMs] = await Promise.all([
    untilSlice(cluster, count),
    ...watches.map(async (at) => Number(await at))
  ])
  return Math.max(...knownMs) - sliceMs
}
