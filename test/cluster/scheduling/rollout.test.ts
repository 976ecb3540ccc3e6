// Rollouts of a region, watched all the way: what was promised to stay ready stays ready, whatever the new version does.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StackInput } from '../../../infra/schema.ts'
import { model, placement, region, stackOf } from '../../infra/stacks.ts'
import type { Kubectl, KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { countReady, countTogether, watchObjects } from '../harness/watch.ts'
import { isSkipped } from '../tiers.ts'
import { type Cluster, CPU_NODES, L40S_NODES, startCluster, ZONES } from './cluster.ts'
import { apply, objectsOf, podsOf, skewOf, waitForReady } from './regions.ts'

const NAMESPACE = 'sluice'
const GATEWAY = 'app.kubernetes.io/name=sluice-gateway'
const ENGINE = 'app.kubernetes.io/instance=engine-llama'

const gatewayImage = (tag: string) => `ghcr.io/sluice/gateway:${tag}`
const engineImage = (tag: string) => `vllm/vllm-openai:v${tag}`
const BROKEN = { gateway: '0.1.99', engine: '0.31.99' }

interface Version {
  readonly gateway?: string
  readonly engine?: string
  readonly maxOutputTokens?: number
}

/** Three gateways, and engines on L40S as a placement has them. */
const stackAt = (placed: object, { gateway = '0.1.0', engine = '0.31.0', maxOutputTokens = 1024 }: Version = {}) =>
  stackOf({
    models: [model({ image: engineImage(engine), maxOutputTokens })],
    regions: [
      region({
        gateway: { ...region().gateway, image: gatewayImage(gateway), replicas: 3 },
        placements: [
          placement({
            nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-L40S' },
            tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
            ...placed
          })
        ]
      })
    ]
  })

/** All GPUs of the pool: three nodes of two. */
const FULL = 6

describe.skipIf(isSkipped('scheduling'))('a rollout', () => {
  let cluster: Cluster
  let kubectl: Kubectl

  beforeAll(async () => {
    cluster = await startCluster({
      pools: [CPU_NODES, { ...L40S_NODES, gpus: { product: 'NVIDIA-L40S', count: 2 } }],
      brokenImages: [gatewayImage(BROKEN.gateway), engineImage(BROKEN.engine)]
    })
    kubectl = cluster.kubectl
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  const inNamespace = (...args: string[]) => kubectl.run([...args, `--namespace=${NAMESPACE}`])
  const finish = (name: string) => inNamespace('rollout', 'status', `deployment/${name}`, '--timeout=90s')
  const applyStack = (stack: StackInput) => apply(kubectl, objectsOf(stack))
  const imagesOf = async (labels: string) =>
    new Set((await podsOf(kubectl, NAMESPACE, labels)).filter(({ ending }) => !ending).map(({ image }) => image))

  /** Goes from one stack to the next, with every engine and gateway ready in between, and all of them of the next one. */
  const settle = async (stack: StackInput, count: number) => {
    await applyStack(stack)
    await finish('gateway')
    await finish('engine-llama')
    await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    await waitForReady(kubectl, NAMESPACE, ENGINE, count)
  }

  it('of the gateway never has fewer ready than replicas, ends spread, and leaves engines alone', async () => {
    await settle(stackAt({ replicas: 3 }), 3)
    const before = (await podsOf(kubectl, NAMESPACE, ENGINE)).map(({ name }) => name).sort()
    await using ready = await countReady(kubectl, NAMESPACE, 'gateway', 3)
    await applyStack(stackAt({ replicas: 3 }, { gateway: '0.1.1' }))
    await finish('gateway')
    const pods = await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    expect(ready.fewest).toBe(3)
    expect(new Set(pods.map(({ image }) => image))).toEqual(new Set([gatewayImage('0.1.1')]))
    expect(skewOf(pods, 'zone', ZONES)).toBe(0)
    expect((await podsOf(kubectl, NAMESPACE, ENGINE)).map(({ name }) => name).sort()).toEqual(before)
  })

  it('of a configuration rolls the gateway without a gap, and no engine', async () => {
    const revision = async (name: string) =>
      (await kubectl.get('deployment', name, `-n${NAMESPACE}`)).metadata.annotations
    const [gateway, engine] = [await revision('gateway'), await revision('engine-llama')]
    await using ready = await countReady(kubectl, NAMESPACE, 'gateway', 3)
    await applyStack(stackAt({ replicas: 3 }, { gateway: '0.1.1', maxOutputTokens: 512 }))
    await finish('gateway')
    await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    expect(ready.fewest).toBe(3)
    expect(await revision('gateway')).not.toEqual(gateway)
    expect(await revision('engine-llama')).toEqual(engine)
  })

  it('of a gateway that never gets ready takes nothing away, and is undone without a gap', async () => {
    await using ready = await countReady(kubectl, NAMESPACE, 'gateway', 3)
    await applyStack(stackAt({ replicas: 3 }, { gateway: BROKEN.gateway }))
    await eventually('the broken gateway runs', async () => {
      const pods = await podsOf(kubectl, NAMESPACE, GATEWAY)
      return pods.some(({ image, phase }) => image === gatewayImage(BROKEN.gateway) && phase === 'Running')
    })
    expect(ready.now).toBe(3)
    await inNamespace('rollout', 'undo', 'deployment/gateway')
    await finish('gateway')
    await waitForReady(kubectl, NAMESPACE, GATEWAY, 3)
    expect(ready.fewest).toBe(3)
    expect(await imagesOf(GATEWAY)).toEqual(new Set([gatewayImage('0.1.1')]))
  })

  it('after one that was undone by hand has to be forced, where applies are server-side', async () => {
    const next = objectsOf(stackAt({ replicas: 3 }, { gateway: '0.1.2' }))
    await expect(apply(kubectl, next)).rejects.toThrow('conflicts with "kubectl"')
    await apply(kubectl, next, '--server-side', '--force-conflicts')
    await finish('gateway')
    await apply(kubectl, objectsOf(stackAt({ replicas: 3 })))
  })

  it('in place goes one engine at a time on a pool that is full, and ends spread', async () => {
    await settle(stackAt({ replicas: FULL }), FULL)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', FULL)
    await applyStack(stackAt({ replicas: FULL }, { engine: '0.31.1' }))
    await finish('engine-llama')
    const pods = await waitForReady(kubectl, NAMESPACE, ENGINE, FULL)
    await ready.seen(FULL - 1)
    expect(ready.fewest).toBe(FULL - 1)
    expect(new Set(pods.map(({ image }) => image))).toEqual(new Set([engineImage('0.31.1')]))
    expect(skewOf(pods, 'zone', ZONES)).toBe(0)
  })

  it('in place of an engine that never gets ready costs one engine, and its revert brings that back', async () => {
    await settle(stackAt({ replicas: 3 }), 3)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 3)
    await applyStack(stackAt({ replicas: 3 }, { engine: BROKEN.engine }))
    await eventually('the broken engine runs', async () => {
      const pods = await podsOf(kubectl, NAMESPACE, ENGINE)
      return pods.some(({ image, phase }) => image === engineImage(BROKEN.engine) && phase === 'Running')
    })
    await applyStack(stackAt({ replicas: 3 }))
    await finish('engine-llama')
    await waitForReady(kubectl, NAMESPACE, ENGINE, 3)
    await ready.seen(2)
    expect(ready.fewest).toBe(2)
    expect(await imagesOf(ENGINE)).toEqual(new Set([engineImage('0.31.0')]))
  })

  it('by surge of a single engine has the new one ready before the old one goes, on a spare GPU', async () => {
    await settle(stackAt({ replicas: 1 }), 1)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 1)
    await using together = await countTogether(kubectl, NAMESPACE, ENGINE)
    await applyStack(stackAt({ replicas: 1 }, { engine: '0.31.1' }))
    await finish('engine-llama')
    await waitForReady(kubectl, NAMESPACE, ENGINE, 1)
    await eventually('both have been ready', () => together.most > 1)
    expect([ready.fewest, together.most]).toEqual([1, 2])
    expect(await imagesOf(ENGINE)).toEqual(new Set([engineImage('0.31.1')]))
  })

  it('by surge waits on a full pool while the old engines serve, and goes on when a GPU is free', async () => {
    const full = { replicas: FULL, rollout: 'surge' }
    await settle(stackAt(full, { engine: '0.31.1' }), FULL)
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', FULL)
    await applyStack(stackAt(full, { engine: '0.31.2' }))
    await eventually('the new engine finds no GPU', async () => {
      const { items } = await kubectl.get(
        'pods',
        `-n${NAMESPACE}`,
        `-l${ENGINE}`,
        '--field-selector=status.phase=Pending'
      )
      return items.some(({ status }: KubernetesObject) =>
        status.conditions?.some(({ message }: KubernetesObject) => message?.includes('Insufficient nvidia.com/gpu'))
      )
    })
    expect(ready.now).toBe(FULL)
    // what docs/engines.md says to do: one replica less makes the room
    await applyStack(stackAt({ ...full, replicas: FULL - 1 }, { engine: '0.31.2' }))
    await finish('engine-llama')
    await waitForReady(kubectl, NAMESPACE, ENGINE, FULL - 1)
    await ready.seen(FULL - 1)
    expect(ready.fewest).toBe(FULL - 1)
  })

  it('by recreate ends the old engine before the new one begins', async () => {
    const recreate = { replicas: 1, rollout: 'recreate' }
    await settle(stackAt(recreate), 1)
    let together = 0
    await using pods = await watchObjects(
      kubectl,
      `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(ENGINE)}`,
      (all) => (together = Math.max(together, all.size))
    )
    await using ready = await countReady(kubectl, NAMESPACE, 'engine-llama', 1)
    await applyStack(stackAt(recreate, { engine: '0.31.1' }))
    await finish('engine-llama')
    await waitForReady(kubectl, NAMESPACE, ENGINE, 1)
    await ready.seen(0)
    const images = () => [...pods.objects.values()].map(({ spec }) => spec.containers[0].image)
    await eventually('the new engine is seen', () => images().includes(engineImage('0.31.1')))
    expect(images()).toEqual([engineImage('0.31.1')])
    expect(together).toBe(1)
  })
})
