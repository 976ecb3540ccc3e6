// How long it takes until a gateway knows what an EndpointSlice says.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

interface Watcher {
  /** Once it looks. */
  readonly watching: Promise<unknown>
  /** When the gateway has come to know so many engines, by this machine's clock. */
  readonly knownMs: Promise<number>
}

function watchGateway({ spaces }: Cluster, address: string, count: number): Watcher {
  const url = `http://${address}:${PORTS.gateway}${PATHS.metrics}`
  const enter = ['--target', `${spaces[0].pid}`, '--net', '--', process.execPath]
  const child = spawn('nsenter', [...enter, WATCH, url, POOL, `${count}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [watching, known] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()]
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'watching') watching.resolve()
    else known.resolve(Number(line))
  })
  // what was told first counts: after it these do nothing
  const fail = (why: string | number | null) =>
    known.reject(new Error(`what watches the gateway told nothing, but ended: ${why}`))
  child.once('error', ({ message }) => fail(message)).once('close', fail)
  return { watching: Promise.race([watching.promise, known.promise]), knownMs: known.promise }
}

/**
 * Changes the number of engines.
 * @returns how many milliseconds after the EndpointSlice the last gateway knew of it
 */
export async function noticeEngines(cluster: Cluster, count: number, change: () => Promise<unknown>): Promise<number> {
  const watchers = (await gatewayAddresses(cluster)).map((address) => watchGateway(cluster, address, count))
  await Promise.all(watchers.map(({ watching }) => watching))
  const told = Promise.withResolvers<number>()
  const labels = encodeURIComponent(`kubernetes.io/service-name=${ENGINE}`)
  const path = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices?labelSelector=${labels}`
  await using _watch = await watchObjects(cluster.plane.kubectl, path, (slices) => {
    if (countAddresses(slices) === count) told.resolve(Date.now())
  })
  await change()
  const [sliceMs, ...knownMs] = await Promise.all([told.promise, ...watchers.map(({ knownMs }) => knownMs)])
  return Math.max(...knownMs) - sliceMs
}
