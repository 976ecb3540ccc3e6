import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { failuresOf } from '../harness/crowd.ts'
import { isSkipped } from '../tiers.ts'
import { tryToReach } from './bystander.ts'
import { noticeEngines } from './discovery.ts'
import { untilAllReady, untilSettled } from './pods.ts'
import { IMAGES, installRegion, NAMESPACE, OBJECTS, type Region } from './region.ts'
import {
  comparePaces,
  ENGINE,
  engineAddress,
  nginxOverGateway,
  OTHER_MODEL,
  openThroughTraefik,
  traefikOrder
} from './streams.ts'

/** What is open when something happens to the cluster. */
const STREAMS = 100
/** A token each 107 ms or so, with so many at once: long enough for a pod to be told to go, to wait, and to drain. */
const SHORT = 420
const LONG = 600

describe.skipIf(isSkipped('running'))('a region on real nodes', () => {
  let cluster: Cluster
  let region: Region

  beforeAll(async () => {
    cluster = await startCluster(IMAGES)
    region = await installRegion(cluster)
    await untilAllReady(cluster)
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  const rollout = (...args: string[]) => cluster.plane.kubectl.run(['--namespace', NAMESPACE, 'rollout', ...args])

  /** Streams and newcomers while something `happens`: none may be cut or refused. */
  async function expectNoneCut(tokens: number, happens: () => Promise<unknown>): Promise<void> {
    const crowd = openThroughTraefik(cluster, region, { count: STREAMS, tokens, newcomerEveryMs: 500 })
    // on the other node, of an engine without a spare: what begins meanwhile waits for the next one
    const others = openThroughTraefik(cluster, region, { model: OTHER_MODEL, count: 10, tokens: LONG })
    await Promise.all([crowd.open, others.open])
    await happens()
    const ended = await Promise.all([crowd.ended, others.ended])
    for (const { streams, newcomers } of ended) {
      expect(failuresOf(streams).slice(0, 5)).toEqual([])
      expect(failuresOf(newcomers).slice(0, 5)).toEqual([])
    }
    expect(ended[0].newcomers.length).toBeGreaterThan(20)
  }

  it('is ready as synth wrote it, in a namespace that enforces the restricted standard', async () => {
    const namespace = await cluster.plane.kubectl.get('namespace', NAMESPACE)
    expect(namespace.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
    const { items } = await cluster.plane.kubectl.get('pods', '--namespace', NAMESPACE)
    const wanted = OBJECTS.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name)
    for (const name of wanted) {
      const pods = items.filter((pod: typeof namespace) => pod.metadata.name.startsWith(`${name}-`))
      expect(pods.length, name).toBeGreaterThan(0)
      expect(pods[0].status.containerStatuses[0], name).toMatchObject({ ready: true, restartCount: 0 })
    }
  })

  it('refuses a request without a key, through the emitted Ingress', async () => {
    const order = { ...traefikOrder(cluster, { ...region, key: 'sk-of-nobody' }), count: 1, tokens: 5 }
    const { streams } = await openThroughTraefik(cluster, region, order).ended
    expect(streams[0]?.failure).toContain('401')
  })

  it('hands each token on at the pace of the engine, through Traefik', async () => {
    const { engine, client } = await comparePaces(cluster, region, traefikOrder(cluster, region))
    expect(client.medianMs).toBeLessThan(engine.medianMs * 1.2)
    expect(client.medianMs).toBeGreaterThan(engine.medianMs * 0.8)
    expect(client.p95Ms).toBeLessThan(engine.p95Ms * 1.2)
  })

  it("hands each token on at the pace of the engine, through nginx with another region's Ingress", async () => {
    const order = await nginxOverGateway(cluster, region)
    const { engine, client } = await comparePaces(cluster, region, order)
    expect(client.medianMs).toBeLessThan(engine.medianMs * 1.2)
    expect(client.medianMs).toBeGreaterThan(engine.medianMs * 0.8)
    expect(client.p95Ms).toBeLessThan(engine.p95Ms * 1.2)
  })

  it('lets nobody but the gateway reach an engine', async () => {
    const address = await engineAddress(cluster)
    expect(await tryToReach(cluster, address, 'gateway')).toBe('401')
    expect(await tryToReach(cluster, address, 'bystander')).toBe('timeout')
    expect(await tryToReach(cluster, address, 'bystander', 'default')).toBe('timeout')
  })

  it('tells the gateway of an engine that comes or goes within a second of its EndpointSlice', async () => {
    for (const replicas of [2, 1]) {
      const scale = () =>
        cluster.plane.kubectl.run(['--namespace', NAMESPACE, 'scale', `deployment/${ENGINE}`, `--replicas=${replicas}`])
      expect(await noticeEngines(cluster, replicas, scale)).toBeLessThan(1000)
    }
    await untilSettled(cluster)
  })

  it('cuts no stream when the gateway is rolled', async () => {
    await expectNoneCut(SHORT, async () => {
      await rollout('restart', 'deployment/gateway')
      await rollout('status', 'deployment/gateway', '--timeout=180s')
    })
    await untilSettled(cluster)
  })

  it('cuts no stream when the engines are rolled', async () => {
    await expectNoneCut(LONG, async () => {
      const engines = OBJECTS.filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name !== 'gateway')
      for (const { metadata } of engines) await rollout('restart', `deployment/${metadata.name}`)
      await rollout('status', `deployment/${ENGINE}`, '--timeout=180s')
    })
    await untilSettled(cluster)
  })

  it('cuts no stream when an engine is deleted', async () => {
    const pods = `app.kubernetes.io/instance=${ENGINE}`
    const remove = ['--namespace', NAMESPACE, 'delete', 'pods', '--selector', pods, '--wait=false']
    await expectNoneCut(SHORT, () => cluster.plane.kubectl.run(remove))
    await untilSettled(cluster)
  })

  it('cuts no stream when the API server is restarted', async () => {
    await expectNoneCut(SHORT, () => cluster.plane.restartApiServer())
    await untilSettled(cluster)
  })
})
