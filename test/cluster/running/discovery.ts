// How long it takes until a gateway knows what an EndpointSlice says.
import { join } from 'node:path'
import { PATHS, PORTS } from '../../../gateway/contract.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { countAddresses, watchObjects } from '../harness/watch.ts'
import { NAMESPACE } from './region.ts'
import { ENGINE, POOL } from './streams.ts'

const WATCH = join(import.meta.dirname, '..', 'harness', 'engines-watch.ts')

async function gatewayAddresses({ plane }: Cluster): Promise<string[]> {
  const selector = 'app.kubernetes.io/instance=gateway'
  const { items } = await plane.kubectl.get('pods', '--namespace', NAMESPACE, '--selector', selector)
  return items.map(({ status }: KubernetesObject) => status.podIP)
}

/**
 * Changes the number of engines.
 * @returns how many milliseconds after the EndpointSlice the last gateway knew of it
 */
export async function noticeEngines(cluster: Cluster, count: number, change: () => Promise<unknown>): Promise<number> {
  const known = (await gatewayAddresses(cluster)).map(async (address) => {
    const url = `http://${address}:${PORTS.gateway}${PATHS.metrics}`
    return Number(await cluster.spaces[0].run(process.execPath, WATCH, url, POOL, `${count}`))
  })
  const told = Promise.withResolvers<number>()
  const labels = encodeURIComponent(`kubernetes.io/service-name=${ENGINE}`)
  const path = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices?labelSelector=${labels}`
  await using _watch = await watchObjects(cluster.plane.kubectl, path, (slices) => {
    if (countAddresses(slices) === count) told.resolve(Date.now())
  })
  await change()
  const [sliceMs, ...knownMs] = await Promise.all([told.promise, ...known])
  return Math.max(...knownMs) - sliceMs
}
