// Where a real scheduler puts a region's pods: on the hardware that they name, spread, and no more than there is.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StackInput } from '../../../infra/schema.ts'
import { model, placement, region, stackOf } from '../../infra/stacks.ts'
import { GPU_PRODUCT_LABEL } from '../harness/fake-nodes.ts'
import type { Kubectl, KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, CPU_NODES, H100_NODES, L40S_NODES, startCluster, ZONES } from './cluster.ts'
import { apply, committedRegion, objectsOf, podsOf, skewOf, waitForReady } from './regions.ts'

const GATEWAY = 'app.kubernetes.io/name=sluice-gateway'
const engines = (name: string) => `app.kubernetes.io/instance=engine-${name}`

/** A small pool of one zone: two nodes of two GPUs. */
const A10 = { 'nvidia.com/gpu.product': 'NVIDIA-A10' }
const TOLERATIONS = [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] as const

/** A stack of one model on the small pool. */
const onA10 = (namespace: string, changes: object): StackInput =>
  stackOf({
    models: [model()],
    regions: [
      region({
        namespace,
        placements: [placement({ nodeSelector: A10, tolerations: [...TOLERATIONS], ...changes })]
      })
    ]
  })

describe.skipIf(isSkipped('scheduling'))('a real scheduler', () => {
  let cluster: Cluster
  let kubectl: Kubectl

  beforeAll(async () => {
    const a10 = { name: 'a10', zones: ['zone-a'], perZone: 2, gpus: { product: 'NVIDIA-A10', count: 2 } }
    cluster = await startCluster({ pools: [CPU_NODES, L40S_NODES, H100_NODES, a10] })
    kubectl = cluster.kubectl
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  describe.each(['eu-west', 'us-east'])('given the committed region %s', (name) => {
    const namespace = `sluice-${name}`
    const product: Readonly<Record<string, string>> = { 'llama-3-1-8b': 'l40s', 'qwen3-32b': 'h100' }

    it('runs engines on nodes of their own GPU, and gateways on none that is kept for GPUs', async () => {
      await apply(kubectl, committedRegion(name))
      expect((await waitForReady(kubectl, namespace, GATEWAY, 1))[0]?.node).toMatch(/^cpu-/)
      for (const [engine, pool] of Object.entries(product)) {
        const pods = await waitForReady(kubectl, namespace, engines(engine), 1)
        expect(pods.map(({ node }) => node?.split('-')[0])).toEqual([pool])
      }
    })

    it('keeps replicas apart, over zones and over nodes, when an autoscaler adds some', async () => {
      await kubectl.run(['scale', 'deployment/gateway', '--replicas=6', `--namespace=${namespace}`])
      await kubectl.run(['scale', 'deployment/engine-llama-3-1-8b', '--replicas=6', `--namespace=${namespace}`])
      const gateways = await waitForReady(kubectl, namespace, GATEWAY, 6)
      const cpuNodes = cluster.nodes.names.filter((node) => node.startsWith('cpu-'))
      expect(gateways.every(({ node }) => node?.startsWith('cpu-'))).toBe(true)
      expect(skewOf(gateways, 'zone', ZONES)).toBeLessThanOrEqual(1)
      expect(skewOf(gateways, 'node', cpuNodes)).toBeLessThanOrEqual(1)
      const pods = await waitForReady(kubectl, namespace, engines('llama-3-1-8b'), 6)
      expect(pods.every(({ node }) => node?.startsWith('l40s-'))).toBe(true)
      expect(skewOf(pods, 'zone', ZONES)).toBeLessThanOrEqual(1)
    })
  })

  it("keeps an engine in the zone of its disk, where a claim is one node's", async () => {
    const [pod] = await podsOf(kubectl, 'sluice-us-east', engines('qwen3-32b'))
    const claim = await kubectl.get('pvc', 'engine-qwen3-32b-cache', '--namespace=sluice-us-east')
    expect(claim.spec.volumeName).toBe(`disk-${pod?.zone}`)
  })

  it('runs a warm-up to its end, on a node of the engines, and starts an engine only after its wait', async () => {
    const jobs = await kubectl.get('jobs', '--namespace=sluice-eu-west')
    expect(jobs.items).toHaveLength(2)
    const ended = await kubectl.run([
      'wait',
      'job',
      '--all',
      '--for=condition=Complete',
      '--timeout=60s',
      '-nsluice-eu-west'
    ])
    expect(ended.match(/condition met/g)).toHaveLength(2)
    for (const pod of await podsOf(kubectl, 'sluice-eu-west', 'app.kubernetes.io/name=model-warm-up')) {
      expect(pod.node).toMatch(/^(l40s|h100)-/)
      expect(pod.gpus).toBe(0)
    }
    const { items } = await kubectl.get('pods', '-nsluice-eu-west', `-l${engines('qwen3-32b')}`)
    const [wait] = items[0].status.initContainerStatuses
    expect(wait.name).toBe('wait-for-weights')
    const started = items[0].status.containerStatuses[0].state.running.startedAt
    expect(Date.parse(wait.state.terminated.finishedAt)).toBeLessThanOrEqual(Date.parse(started))
  })

  it('schedules a region whose GPUs are all in one zone, over its nodes', async () => {
    await apply(kubectl, objectsOf(onA10('one-zone', { replicas: 2 })))
    const pods = await waitForReady(kubectl, 'one-zone', engines('llama'), 2)
    expect(new Set(pods.map(({ zone }) => zone))).toEqual(new Set(['zone-a']))
    expect(skewOf(pods, 'node', ['a10-zone-a-0', 'a10-zone-a-1'])).toBe(0)
  })

  it('fills nodes with engines, no further than they have GPUs, and says what the next one lacks', async () => {
    await apply(kubectl, objectsOf(onA10('one-zone', { replicas: 5 })))
    const pods = await eventually('four of five engines run', async () => {
      const all = await podsOf(kubectl, 'one-zone', engines('llama'))
      return all.length === 5 && all.filter(({ ready }) => ready).length === 4 ? all : undefined
    })
    for (const node of ['a10-zone-a-0', 'a10-zone-a-1']) {
      expect(pods.filter((pod) => pod.node === node).reduce((sum, { gpus }) => sum + gpus, 0)).toBe(2)
    }
    const waiting = pods.find(({ ready }) => !ready)?.name ?? ''
    // the scheduler may not have come to it yet when the others are ready
    const message = await eventually('the scheduler says why', async () => {
      const { status } = await kubectl.get('pod', waiting, '-none-zone')
      const told = status.conditions?.find(({ type }: KubernetesObject) => type === 'PodScheduled')
      return told?.message as string | undefined
    })
    expect(message).toContain('2 Insufficient nvidia.com/gpu')
  })

  it('evicts what counts less where a placement has a priority, and gives the engine its GPU', async () => {
    await kubectl.run(['create', 'priorityclass', 'production', '--value=1000'])
    await apply(kubectl, objectsOf(onA10('urgent', { priorityClassName: 'production' })))
    const [urgent] = await waitForReady(kubectl, 'urgent', engines('llama'), 1)
    expect(urgent?.node).toMatch(/^a10-/)
    const rest = await podsOf(kubectl, 'one-zone', engines('llama'))
    expect(rest.filter(({ ready }) => ready)).toHaveLength(3)
  })

  it('never gave a node more GPUs than it has', async () => {
    const [{ items: nodes }, { items: pods }] = await Promise.all([
      kubectl.get('nodes', `--selector=${GPU_PRODUCT_LABEL}`),
      kubectl.get('pods', '--all-namespaces')
    ])
    for (const { metadata, status } of nodes) {
      const used = pods
        .filter(({ spec }: KubernetesObject) => spec.nodeName === metadata.name)
        .map(({ spec }: KubernetesObject) => Number(spec.containers[0].resources.limits?.['nvidia.com/gpu'] ?? 0))
        .reduce((sum: number, one: number) => sum + one, 0)
      expect(used, metadata.name).toBeLessThanOrEqual(Number(status.allocatable['nvidia.com/gpu']))
    }
  })
})
