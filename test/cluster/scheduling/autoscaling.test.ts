// What autoscalers act on is there: each target has a scale whose selector finds pods, and an apply leaves its number alone.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { EVERYTHING } from '../../infra/everything-on.ts'
import { type Manifest, region, stackOf } from '../../infra/stacks.ts'
import type { Kubectl } from '../harness/kubectl.ts'
import { startLeaderWorkerSets } from '../harness/leader-worker-sets.ts'
import { eventually } from '../harness/processes.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, CPU_NODES, startCluster } from './cluster.ts'
import { apply, committedRegion, objectsOf } from './regions.ts'

/** Each autoscaler's target: a scale in its namespace. */
function targetsOf(objects: readonly Manifest[]): { name: string; path: string }[] {
  return objects
    .filter(({ kind }) => kind === 'ScaledObject' || kind === 'HorizontalPodAutoscaler')
    .map(({ metadata, spec: { scaleTargetRef: target } }) => ({
      name: `${metadata.namespace}/${target.name}`,
      path: `/apis/${target.apiVersion}/namespaces/${metadata.namespace}/${target.kind.toLowerCase()}s/${target.name}/scale`
    }))
}

/** A region that Kubernetes' own autoscaler scales, by CPU alone. */
const byCpu = (minReplicas: number) =>
  stackOf({
    regions: [
      region({ namespace: 'by-cpu', gateway: { ...region().gateway, autoscaling: { minReplicas, maxReplicas: 9 } } })
    ]
  })

const fixed = (namespace: string, replicas: number) =>
  stackOf({ regions: [region({ namespace, gateway: { ...region().gateway, replicas } })] })
const scaled = (namespace: string) =>
  stackOf({ regions: [region({ namespace, gateway: { ...region().gateway, autoscaling: { maxReplicas: 9 } } })] })

describe.skipIf(isSkipped('scheduling'))('an autoscaler', () => {
  let cluster: Cluster
  let kubectl: Kubectl

  beforeAll(async () => {
    cluster = await startCluster(
      { pools: [CPU_NODES] },
      { controllerManagerArgs: ['--horizontal-pod-autoscaler-sync-period=1s'] }
    )
    kubectl = cluster.kubectl
    await startLeaderWorkerSets(cluster.plane)
  })
  afterEach(() => void vi.unstubAllEnvs())
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  const replicasOf = async (namespace: string): Promise<number> =>
    (await kubectl.get('deployment', 'gateway', `--namespace=${namespace}`)).spec.replicas

  it.each([
    ['the region eu-west', () => committedRegion('eu-west')],
    ['the region us-east', () => committedRegion('us-east')],
    ['a stack that uses everything, engines on several nodes among it', () => objectsOf(EVERYTHING)],
    ["a region with Kubernetes' own autoscaler", () => objectsOf(byCpu(3))]
  ])('of %s finds what it scales, and the pods of that', async (_title, objects) => {
    const manifests = objects()
    await apply(kubectl, manifests)
    const targets = targetsOf(manifests)
    expect(targets.length).toBeGreaterThan(0)
    for (const { name, path } of targets) {
      const scale = await eventually(`${name} knows its pods' labels`, async () => {
        const answer = await kubectl.try(['get', `--raw=${path}`])
        const one = answer.code === 0 ? JSON.parse(answer.stdout) : {}
        return one.status?.selector ? one : undefined
      })
      expect(scale).toMatchObject({ kind: 'Scale' })
      const namespace = name.split('/')[0]
      await eventually(`${name} has pods of ${scale.status.selector}`, async () => {
        const { items } = await kubectl.get('pods', `--namespace=${namespace}`, `--selector=${scale.status.selector}`)
        return items.length > 0
      })
    }
  })

  it('of CPU raises the gateway to its fewest, and an apply does not take that back', async () => {
    await eventually('three gateways are wanted', async () => (await replicasOf('by-cpu')) === 3)
    await apply(kubectl, objectsOf(byCpu(5)))
    await eventually('five gateways are wanted', async () => (await replicasOf('by-cpu')) === 5)
    await apply(kubectl, objectsOf(byCpu(5)))
    expect(await replicasOf('by-cpu')).toBe(5)
    // it tells how it went after it has scaled, and of a write of others in between that it has to begin anew
    const conditions = async () => (await kubectl.get('hpa', 'gateway', '-nby-cpu')).status.conditions ?? []
    const able = expect.objectContaining({ type: 'AbleToScale', status: 'True' })
    await expect.poll(conditions, { timeout: 60_000, interval: 200 }).toContainEqual(able)
  })

  it('keeps its number of engines on several nodes over an apply, as of gateways', async () => {
    const [set] = (await kubectl.get('leaderworkersets', '--all-namespaces')).items
    const { name, namespace } = set.metadata
    await kubectl.run(['scale', `leaderworkerset/${name}`, '--replicas=3', `--namespace=${namespace}`])
    await apply(kubectl, objectsOf(EVERYTHING))
    expect((await kubectl.get('leaderworkerset', name, `--namespace=${namespace}`)).spec.replicas).toBe(3)
  })

  it('gets the fixed number that was before it, if that was changed by hand before a server-side apply', async () => {
    await apply(kubectl, objectsOf(fixed('server-side', 4)))
    await kubectl.run(['scale', 'deployment/gateway', '--replicas=5', '--namespace=server-side'])
    await apply(kubectl, objectsOf(scaled('server-side')))
    expect(await replicasOf('server-side')).toBe(5)
  })

  it('gets the fixed number that was before it, if a client-side apply has forgotten that', async () => {
    await apply(kubectl, objectsOf(fixed('client-side', 4)), '--server-side=false')
    vi.stubEnv('KUBE_EDITOR', "sed -i '/^  replicas:/d'")
    await kubectl.run(['apply', 'edit-last-applied', 'deployment/gateway', '--namespace=client-side'])
    await apply(kubectl, objectsOf(scaled('client-side')), '--server-side=false')
    expect(await replicasOf('client-side')).toBe(4)
  })

  it('finds a single gateway otherwise, which docs/scaling.md warns of', async () => {
    await apply(kubectl, objectsOf(fixed('forgotten', 4)))
    await apply(kubectl, objectsOf(scaled('forgotten')))
    expect(await replicasOf('forgotten')).toBeLessThan(4)
  })
})
