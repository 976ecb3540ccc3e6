// Waits for the pods of a region, and tells what is wrong with them when they don't come.
import type { Cluster } from '../harness/cluster.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { watchObjects } from '../harness/watch.ts'
import { NAMESPACE } from './region.ts'

/** A machine that builds something else meanwhile is slow. */
const WITHIN_MS = 240_000

/**
 * Pods, the latest events, the last lines of the ingress controller, of each container that is not ready, and of a node's
 * programs that have ended.
 */
export async function describePods({ plane, spaces }: Cluster): Promise<string> {
  const { kubectl } = plane
  const list = await kubectl.try(['get', 'pods', '--all-namespaces', '--output=wide'])
  const events = await kubectl.try(['get', 'events', '--namespace', NAMESPACE, '--sort-by=.lastTimestamp'])
  const { stdout } = await kubectl.try(['get', 'pods', '--all-namespaces', '--output=json'])
  const { items } = JSON.parse(stdout || '{ "items": [] }')
  const logs: string[] = []
  for (const { metadata, status } of items.filter(isOfInterest)) {
    const { stdout, stderr } = await kubectl.try(['logs', '-n', metadata.namespace, metadata.name, '--tail=10'])
    logs.push(`${metadata.name} (${status.phase}):\n${stdout}${stderr}`)
  }
  return [
    list.stdout,
    events.stdout.split('\n').slice(-25).join('\n'),
    ...logs,
    ...spaces.map((space) => space.failures())
  ].join('\n')
}

const isOfInterest = (pod: KubernetesObject): boolean => !isReady(pod) || pod.metadata.namespace === 'traefik'

const isReady = ({ status }: KubernetesObject): boolean =>
  status.conditions?.some((one: KubernetesObject) => one.type === 'Ready' && one.status === 'True') ?? false

const isComplete = ({ spec, status, metadata }: KubernetesObject): boolean =>
  status.observedGeneration === metadata.generation &&
  status.updatedReplicas === spec.replicas &&
  status.readyReplicas === spec.replicas &&
  status.replicas === spec.replicas

/** Until each Deployment, those of DNS and of the ingress controller too, has all of its pods. */
export async function untilAllReady(cluster: Cluster): Promise<void> {
  const areComplete = async () => {
    const { items } = await cluster.plane.kubectl.get('deployments', '--all-namespaces')
    return items.every(isComplete)
  }
  const options = { withinMs: WITHIN_MS, everyMs: 1000, state: () => describePods(cluster) }
  await eventually('all pods are ready', areComplete, options)
}

/** Until, besides, every pod that was told to go is gone. */
export async function untilSettled(cluster: Cluster): Promise<void> {
  await untilAllReady(cluster)
  const areGone = async () => {
    const { items } = await cluster.plane.kubectl.get('pods', '--namespace', NAMESPACE)
    return items.every(({ metadata }: KubernetesObject) => metadata.deletionTimestamp === undefined)
  }
  const options = { withinMs: WITHIN_MS, everyMs: 1000, state: () => describePods(cluster) }
  await eventually('all pods that were told to go are gone', areGone, options)
}

/** Pods of the region that are told to go, from the moment on at which this is called. */
export interface Going extends AsyncDisposable {
  /** When the first of them was, by this machine's clock; undefined as long as none was. */
  readonly firstMs: number | undefined
}

/** Looks at each state of the pods: one that has ended before the last one was told to is among them. */
export async function watchGoing({ plane }: Cluster): Promise<Going> {
  const toldMs = new Map<string, number>()
  const watch = await watchObjects(plane.kubectl, `/api/v1/namespaces/${NAMESPACE}/pods`, (pods) => {
    for (const { metadata } of pods.values()) {
      const { uid, deletionTimestamp, deletionGracePeriodSeconds } = metadata
      if (deletionTimestamp === undefined || toldMs.has(uid)) continue
      toldMs.set(uid, Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000)
    }
  })
  return {
    get firstMs() {
      return toldMs.size === 0 ? undefined : Math.min(...toldMs.values())
    },
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose]()
  }
}
