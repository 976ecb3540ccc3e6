// Applies a region's own output, as far as the cluster knows its kinds, and looks at where its pods went.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StackInput } from '../../../infra/schema.ts'
import { filesOf, type Manifest, readObjects } from '../../infra/stacks.ts'
import { GPU, ZONE_LABEL } from '../harness/fake-nodes.ts'
import type { Kubectl, KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'

const CHARTS = join(import.meta.dirname, '..', '..', '..', 'charts-out')

/** The objects of a committed region, in the order in which it is applied. */
export function committedRegion(name: string): Manifest[] {
  return readdirSync(join(CHARTS, name))
    .filter((file) => file !== 'kustomization.yaml')
    .sort()
    .flatMap((file) => readObjects(join(CHARTS, name, file)))
}

/** The objects of a stack's regions, in the order in which they are applied. */
export function objectsOf(stack: StackInput): Manifest[] {
  return filesOf(stack).flatMap(({ file, objects }) => (file.startsWith('gitops/') ? [] : objects))
}

/** Applies objects; those whose API the cluster does not have wait for nothing here and are left out. */
export async function apply(kubectl: Kubectl, objects: readonly Manifest[], ...flags: string[]): Promise<void> {
  const known = new Set((await kubectl.run(['api-versions'])).split('\n'))
  const items = objects.filter(({ apiVersion }) => known.has(apiVersion))
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  await kubectl.run(['apply', ...(flags.length > 0 ? flags : ['--server-side']), '--filename=-'], list)
}

/** A pod, as far as these tests look at it. */
export interface Placed {
  readonly name: string
  readonly node: string | undefined
  readonly zone: string | undefined
  readonly gpus: number
  readonly phase: string
  readonly ready: boolean
  readonly ending: boolean
  readonly image: string
}

/** The pods of a namespace that have all of `labels`, as `app.kubernetes.io/name=vllm`. */
export async function podsOf(kubectl: Kubectl, namespace: string, labels = ''): Promise<Placed[]> {
  const [pods, nodes] = await Promise.all([
    kubectl.get('pods', `--namespace=${namespace}`, `--selector=${labels}`),
    kubectl.get('nodes')
  ])
  const zones = new Map(
    nodes.items.map(({ metadata }: KubernetesObject) => [metadata.name, metadata.labels[ZONE_LABEL]])
  )
  return pods.items.map(({ metadata, spec, status }: KubernetesObject) => ({
    name: metadata.name,
    node: spec.nodeName,
    zone: zones.get(spec.nodeName),
    gpus: Number(spec.containers[0].resources.limits?.[GPU] ?? 0),
    phase: status.phase,
    ready: status.conditions?.some((one: KubernetesObject) => one.type === 'Ready' && one.status === 'True') ?? false,
    ending: metadata.deletionTimestamp !== undefined,
    image: spec.containers[0].image
  }))
}

/** Waits for `count` ready pods that have `labels`, and no others. */
export function waitForReady(
  kubectl: Kubectl,
  namespace: string,
  labels: string,
  count: number,
  withinMs = 90_000
): Promise<Placed[]> {
  const look = () => podsOf(kubectl, namespace, labels)
  return eventually(
    `${count} ready pods of ${labels} in ${namespace}`,
    async () => {
      const pods = await look()
      return pods.length === count && pods.every(({ ready, ending }) => ready && !ending) ? pods : undefined
    },
    { withinMs, state: async () => JSON.stringify(await look(), null, 1) }
  )
}

/**
 * Waits until a disruption budget counts `healthy` pods and would let one of them go: its controller counts by itself, and
 * may do so after the pods are ready.
 */
export async function untilEvictable(kubectl: Kubectl, namespace: string, budget: string, healthy: number) {
  const look = async () => (await kubectl.get('poddisruptionbudget', budget, `--namespace=${namespace}`)).status
  await eventually(
    `the budget ${budget} lets one of ${healthy} pods go`,
    async () => {
      const { currentHealthy, disruptionsAllowed } = await look()
      return currentHealthy === healthy && disruptionsAllowed === 1
    },
    { state: async () => JSON.stringify(await look()) }
  )
}

/** How unevenly pods are spread: the most minus the fewest, over all of the places that they could have gone to. */
export function skewOf(pods: readonly Placed[], by: 'zone' | 'node', places: readonly string[]): number {
  const counts = places.map((place) => pods.filter((pod) => pod[by] === place).length)
  return Math.max(...counts) - Math.min(...counts)
}
