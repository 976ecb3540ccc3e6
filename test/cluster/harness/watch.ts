// Watches objects of a cluster without a gap: every state that the API had, and not only those that a poll happens on.
import type { Following, Kubectl, KubernetesObject } from './kubectl.ts'
import { eventually } from './processes.ts'

/** Objects of one kind, as they are now and as the API changes them. */
export interface Watch extends AsyncDisposable {
  /** By name. */
  readonly objects: ReadonlyMap<string, KubernetesObject>
}

/**
 * Lists the objects below an API path, then follows each change of them. Disposing ends it.
 * @param path as `/apis/discovery.k8s.io/v1/namespaces/x/endpointslices?labelSelector=…`
 * @param onChange called once with the list, and after each change, with `objects` as they are then
 */
export async function watchObjects(
  kubectl: Kubectl,
  path: string,
  onChange: (objects: ReadonlyMap<string, KubernetesObject>) => void
): Promise<Watch> {
  const list = JSON.parse(await kubectl.run(['get', `--raw=${path}`]))
  const objects = new Map<string, KubernetesObject>(list.items.map((one: KubernetesObject) => [one.metadata.name, one]))
  onChange(objects)
  const url = `${path}${path.includes('?') ? '&' : '?'}watch=1&resourceVersion=${list.metadata.resourceVersion}`
  let failure: Error | undefined
  const following: Following = kubectl.follow(['get', `--raw=${url}`], (line) => {
    const { type, object } = JSON.parse(line)
    if (type === 'ERROR') failure = new Error(`the watch of ${path} has a gap: ${line}`)
    else if (type === 'DELETED') objects.delete(object.metadata.name)
    else objects.set(object.metadata.name, object)
    onChange(objects)
  })
  return {
    objects,
    async [Symbol.asyncDispose]() {
      await following.stop()
      if (failure !== undefined) throw failure
    }
  }
}

/** How many endpoints of a Service were ready, over a time. */
export interface ReadyCount extends Watch {
  readonly now: number
  readonly fewest: number
  /**
   * Waits until there have been so many: the control plane writes slices a moment after it has done what they tell of.
   * @throws Error if that does not come about within a minute
   */
  seen(count: number): Promise<void>
}

/**
 * Counts a Service's ready endpoints over all of its EndpointSlices, at each of their changes. It begins once `first` of
 * them are ready.
 * @throws Error if that does not come about within a minute
 */
export async function countReady(
  kubectl: Kubectl,
  namespace: string,
  service: string,
  first: number
): Promise<ReadyCount> {
  const counts: number[] = []
  let now = 0
  const labels = encodeURIComponent(`kubernetes.io/service-name=${service}`)
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${labels}`
  const watch = await watchObjects(kubectl, path, (slices) => {
    now = countAddresses(slices)
    if (counts.length > 0 || now === first) counts.push(now)
  })
  const seen = async (count: number) => {
    const state = () =>
      `${now} are, ${counts.length > 0 ? `${Math.min(...counts)} were the fewest` : 'and the count waits'}`
    const what = `${count} endpoints of ${service} are ready`
    await eventually(what, () => counts.includes(count), { everyMs: 50, state })
  }
  try {
    await seen(first)
  } catch (error) {
    await watch[Symbol.asyncDispose]()
    throw error
  }
  return {
    ...watch,
    seen,
    get now() {
      return now
    },
    get fewest() {
      return Math.min(...counts)
    }
  }
}

/** How many pods were ready at one time. */
export interface TogetherCount extends Watch {
  readonly most: number
}

/**
 * Counts the ready pods with `labels` from now on, at each of their changes. Slices do not tell of every state that pods
 * are in: their controller writes the newest, and may be late for one that was short.
 */
export async function countTogether(kubectl: Kubectl, namespace: string, labels: string): Promise<TogetherCount> {
  let most = 0
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(labels)}`
  const watch = await watchObjects(kubectl, path, (pods) => {
    most = Math.max(most, [...pods.values()].filter(isServing).length)
  })
  return {
    ...watch,
    get most() {
      return most
    }
  }
}

const isServing = ({ metadata, status }: KubernetesObject): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status.conditions ?? []).some((one: KubernetesObject) => one.type === 'Ready' && one.status === 'True')

/** How many addresses are ready, each counted once: Kubernetes may have an endpoint in two slices for a moment. */
export function countAddresses(slices: ReadonlyMap<string, KubernetesObject>): number {
  const ready = [...slices.values()]
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter((one: KubernetesObject) => one.conditions.ready)
  return new Set(ready.flatMap(({ addresses }: KubernetesObject) => addresses)).size
}
