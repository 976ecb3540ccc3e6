import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { timeBudgetSchema } from '../../../gateway/contract.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { failuresOf } from '../harness/crowd.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { isSkipped } from '../tiers.ts'
import { tryToReach } from './bystander.ts'
import { noticeEngines } from './discovery.ts'
import { describePods, untilAllReady, untilSettled, watchGoing } from './pods.ts'
import { addKey, IMAGES, installRegion, NAMESPACE, OBJECTS, type Region } from './region.ts'
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
/** Between two tokens, with so many streams at one engine, and with the few at the other one. */
const TOKEN_MS = 107
const OTHER = { model: OTHER_MODEL, count: 10 }
const OTHER_TOKEN_MS = 62
/** So long a pod goes on as before after it was told to go; what runs on after that, it drains. */
const PROPAGATION_MS = timeBudgetSchema.parse({}).propagationMs

/** How often what depends on a quiet machine is measured before it counts. */
const ROUNDS = 4

const report = (figure: string) => void process.stderr.write(`running: ${figure}\n`)

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

  /**
   * Streams and newcomers while something `happens`: none may be cut or refused.
   * @param lastSeconds how long each stream lasts
   */
  async function expectNoneCut(lastSeconds: number, happens: () => Promise<unknown>): Promise<void> {
    const last = (tokenMs: number) => ({ tokens: Math.round((lastSeconds * 1000) / tokenMs) })
    const crowd = openThroughTraefik(cluster, region, { count: STREAMS, newcomerEveryMs: 500, ...last(TOKEN_MS) })
    // on the other node, of an engine without a spare: what begins meanwhile waits for the next one
    const others = openThroughTraefik(cluster, region, { ...OTHER, ...last(OTHER_TOKEN_MS) })
    await Promise.all([crowd.open, others.open])
    await happens()
    const ended = await Promise.all([crowd.ended, others.ended])
    for (const { streams, newcomers } of ended) {
      expect(failuresOf(streams).slice(0, 5)).toEqual([])
      expect(failuresOf(newcomers).slice(0, 5)).toEqual([])
    }
    expect(ended[0].newcomers.length).toBeGreaterThan(20)
  }

  /**
   * As `expectNoneCut`, where pods are told to go: streams are open until one has waited and drained. A slow machine is late
   * with that, and streams that have ended before it show nothing: then longer ones are opened.
   */
  async function expectNoneCutByDrain(lastSeconds: number, happens: () => Promise<unknown>): Promise<void> {
    let ranOnMs = 0
    for (let round = 1; round <= 2 && ranOnMs <= PROPAGATION_MS; round++) {
      await using going = await watchGoing(cluster)
      await expectNoneCut(lastSeconds * round, happens)
      ranOnMs = going.firstMs === undefined ? 0 : Date.now() - going.firstMs
      await untilSettled(cluster)
    }
    expect(ranOnMs).toBeGreaterThan(PROPAGATION_MS)
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
    const ask = async () => {
      const { streams } = await openThroughTraefik(cluster, region, { key: 'sk-of-nobody', count: 1, tokens: 5 }).ended
      return streams[0]?.failure ?? ''
    }
    // the first request of all: the node's port, the Ingress and its certificate may be read a moment after the pods are ready
    let failure = ''
    const isAnswered = async () => {
      failure = await ask()
      return failure === '' || failure.includes('401: ')
    }
    const state = async () => `${failure}\n${await describePods(cluster)}`
    await eventually('a gateway answers', isAnswered, { withinMs: 120_000, state })
    expect(failure).toContain('401: ')
  })

  it.each([
    ['Traefik', async () => traefikOrder(cluster, region)],
    ["nginx with another region's Ingress", () => nginxOverGateway(cluster, region)]
  ] as const)('hands each token on at the pace of the engine, through %s', async (name, findWay) => {
    const { engine, client } = await comparePaces(cluster, region, await findWay())
    report(`gaps between tokens through ${name}: ${JSON.stringify(client)}, at the engine: ${JSON.stringify(engine)}`)
    expect(client.medianMs).toBeLessThan(engine.medianMs * 1.2)
    expect(client.medianMs).toBeGreaterThan(engine.medianMs * 0.8)
    expect(client.p95Ms).toBeLessThan(engine.p95Ms * 1.2)
  })

  it('lets nobody but the gateway reach an engine', async () => {
    const address = await engineAddress(cluster)
    // a machine that stands still for a moment costs the gateway an answer; the others must never get one
    const fromGateway = () => tryToReach(cluster, address, 'gateway')
    await expect.poll(fromGateway, { timeout: 60_000, interval: 1000 }).toBe('401')
    expect(await tryToReach(cluster, address, 'bystander')).toBe('unreachable')
    expect(await tryToReach(cluster, address, 'bystander', 'default')).toBe('unreachable')
  })

  it('has a key that is added to its Secret known by every gateway, and restarts none', async () => {
    const podsOf = async () => {
      const selector = '--selector=app.kubernetes.io/instance=gateway'
      const { items } = await cluster.plane.kubectl.get('pods', '--namespace', NAMESPACE, selector)
      return items.map(({ metadata, status }: KubernetesObject) => [
        metadata.uid,
        status.containerStatuses[0].restartCount
      ])
    }
    const before = await podsOf()
    expect(before).toHaveLength(2)
    const key = await addKey(cluster, 'of-next-year')
    const changedAtMs = Date.now()
    // the controller takes the gateways in turn, so each of them has some of these
    const isKnown = async () => {
      const { streams } = await openThroughTraefik(cluster, region, { key, count: 8, tokens: 2 }).ended
      return failuresOf(streams).length === 0
    }
    await eventually('the new key is known', isKnown, { withinMs: 180_000, everyMs: 2000 })
    report(
      `a key of a changed Secret is known at the gateways after ${Math.round((Date.now() - changedAtMs) / 1000)} s`
    )
    expect(await podsOf()).toEqual(before)
  })

  it('tells the gateway of an engine that comes or goes within a second of its EndpointSlice', async () => {
    const scale = (replicas: number) => () =>
      cluster.plane.kubectl.run(['--namespace', NAMESPACE, 'scale', `deployment/${ENGINE}`, `--replicas=${replicas}`])
    // a machine that is busy with something else only ever delays: of some rounds the quickest is what counts
    const [comesMs, goesMs]: [number[], number[]] = [[], []]
    do {
      comesMs.push(await noticeEngines(cluster, 2, scale(2)))
      goesMs.push(await noticeEngines(cluster, 1, scale(1)))
    } while (comesMs.length < ROUNDS && Math.max(Math.min(...comesMs), Math.min(...goesMs)) >= 1000)
    report(`an EndpointSlice is known at the gateways after: ${JSON.stringify({ comesMs, goesMs })}`)
    expect(Math.min(...comesMs)).toBeLessThan(1000)
    expect(Math.min(...goesMs)).toBeLessThan(1000)
    await untilSettled(cluster)
  })

  it('cuts no stream when the gateway is rolled', async () => {
    await expectNoneCutByDrain(45, async () => {
      await rollout('restart', 'deployment/gateway')
      await rollout('status', 'deployment/gateway', '--timeout=180s')
    })
  }, 600_000)

  it('cuts no stream when the engines are rolled', async () => {
    await expectNoneCutByDrain(55, async () => {
      const engines = OBJECTS.filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name !== 'gateway')
      for (const { metadata } of engines) await rollout('restart', `deployment/${metadata.name}`)
      await rollout('status', `deployment/${ENGINE}`, '--timeout=180s')
    })
  }, 600_000)

  it('cuts no stream when an engine is deleted', async () => {
    const pods = `app.kubernetes.io/instance=${ENGINE}`
    const remove = ['--namespace', NAMESPACE, 'delete', 'pods', '--selector', pods, '--wait=false']
    await expectNoneCutByDrain(40, () => cluster.plane.kubectl.run(remove))
  }, 600_000)

  it('cuts no stream when the API server is restarted', async () => {
    await expectNoneCut(30, () => cluster.plane.restartApiServer())
    await untilSettled(cluster)
  })
})
