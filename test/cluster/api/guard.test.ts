// What the API server itself keeps out of a region, and what the region's own accounts may ask it: the policies as they run.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isAtLeast } from '../../../infra/schema/cluster.ts'
import { stack } from '../../../infra/stack.ts'
import { find, type Manifest, onKubernetes } from '../../infra/stacks.ts'
import type { Answer } from '../harness/kubectl.ts'
import { eventually } from '../harness/processes.ts'
import { isSkipped } from '../tiers.ts'
import { type Api, NEWEST } from './apis.ts'
import { podsOf } from './pods.ts'
import { applyRegion, type Charts, runStrictly, writeCharts } from './region-folder.ts'

const NAMESPACE = 'sluice-guarded'
const ELSEWHERE = 'sluice-bystander'

describe.skipIf(isSkipped('api'))(`a region's guard on ${NEWEST.title}`, () => {
  let api: Api
  let charts: Charts
  let objects: Manifest[]
  beforeAll(async () => {
    api = await NEWEST.open()
    const regions = stack.regions.slice(0, 1).map((region) => ({ ...region, namespace: NAMESPACE }))
    charts = writeCharts(onKubernetes(api.minor, { ...stack, regions }))
    objects = charts.objects('eu-west')
    const bystander = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ELSEWHERE } }
    await api.claim([...objects, bystander])
    await applyRegion(api, charts, 'eu-west')
    await runStrictly(api, ['create', '--filename=-'], JSON.stringify(bystander))
    await runStrictly(api, ['create', 'serviceaccount', 'nobody', `--namespace=${ELSEWHERE}`])
  })
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    charts?.[Symbol.dispose]()
  })

  /** Asks without making anything. */
  const ask = (object: Manifest): Promise<Answer> =>
    api.kubectl.try(['create', '--dry-run=server', '--validate=strict', '--filename=-'], JSON.stringify(object))
  const pod = (): Manifest => structuredClone(podsOf(objects).find(({ metadata }) => metadata.name === 'gateway'))
  const podWith = (change: (spec: Manifest) => void): Manifest => {
    const changed = pod()
    change(changed.spec)
    return changed
  }
  /** What makes pods: an object of each kind whose pods have `spec`. */
  const makersOf = (spec: Manifest): Manifest[] => {
    const metadata = { name: 'asked', namespace: NAMESPACE }
    const template = { metadata: { labels: { app: 'asked' } }, spec }
    const once = { metadata: template.metadata, spec: { ...spec, restartPolicy: 'Never' } }
    const selector = { matchLabels: template.metadata.labels }
    const jobTemplate = { spec: { template: once } }
    return [
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { selector, template } },
      { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { selector, template, serviceName: 'asked' } },
      { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, spec: { selector, template } },
      { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { template: once } },
      { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec: { schedule: '0 3 * * *', jobTemplate } }
    ]
  }

  /** Another Service of the pods that one of the region has. */
  const serviceLike = (name: string, changes: object): Manifest => {
    const { clusterIP: _none, ...spec } = find(objects, 'Service', name).spec
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'asked', namespace: NAMESPACE },
      spec: { ...spec, ...changes }
    }
  }

  it('refuses a pod that is not restricted, by the label of its namespace', async () => {
    expect(await ask(pod())).toMatchObject({ code: 0 })
    const { code, stderr } = await ask(podWith((spec) => (spec.hostNetwork = true)))
    expect(code).toBe(1)
    expect(stderr).toMatch(/violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)/)
  })

  describe('by admission policies', () => {
    beforeEach(async ({ skip }) => {
      if (!isAtLeast({ kubernetes: api.minor }, '1.30')) return skip('policies need Kubernetes 1.30')
      // the API server reads its policies a moment after they are made, that of pods perhaps before that of Services
      const bad = [
        podWith((spec) => (spec.containers[0].image = 'nginx')),
        serviceLike('engine-qwen3-32b', { type: 'NodePort' })
      ]
      const areOn = async () => {
        const answers = await Promise.all(bad.map(ask))
        return answers.every(({ stderr }) => stderr.includes('ValidatingAdmissionPolicy'))
      }
      await eventually('the policies are in force', areOn)
    })

    it.each([
      ['an image without a version', 'ghcr.io/sluice/gateway', true],
      ['a tag that moves', 'ghcr.io/sluice/gateway:latest', true],
      ['a version', 'ghcr.io/sluice/gateway:0.1.0', false],
      ['a digest', `ghcr.io/sluice/gateway@sha256:${'0'.repeat(64)}`, false]
    ])('decides on %s in each kind that makes pods, and says why', async (_title, image, isRefused) => {
      const spec = podWith(({ containers }) => (containers[0].image = image)).spec
      for (const object of [{ ...pod(), spec }, ...makersOf(spec)]) {
        const { code, stderr } = await ask(object)
        expect(code, `${object.kind}: ${stderr}`).toBe(isRefused ? 1 : 0)
        if (isRefused) expect(stderr).toContain('pin the image to a version or a digest: container gateway')
      }
    })

    it('refuses a container without limits of memory, in each kind that makes pods', async () => {
      const spec = podWith(({ containers }) => delete containers[0].resources.limits.memory).spec
      for (const object of [{ ...pod(), spec }, ...makersOf(spec)]) {
        expect((await ask(object)).stderr, object.kind).toContain('set limits for cpu and memory: container gateway')
      }
    })

    it('lets only the gateway be reached from outside, whatever the type of Service', async () => {
      const engine = 'engine-qwen3-32b'
      for (const changes of [{ type: 'LoadBalancer' }, { type: 'NodePort' }, { externalIPs: ['192.0.2.7'] }]) {
        expect(await ask(serviceLike('gateway', changes))).toMatchObject({ code: 0 })
        const { code, stderr } = await ask(serviceLike(engine, changes))
        expect(code).toBe(1)
        expect(stderr).toContain('only the gateway may be reached from outside: use type ClusterIP')
      }
      expect(await ask(serviceLike(engine, { type: 'ClusterIP' }))).toMatchObject({ code: 0 })
    })

    it('has nothing to say in another namespace', async () => {
      const elsewhere = podWith(({ containers }) => (containers[0].image = 'ghcr.io/sluice/gateway:latest'))
      Object.assign(elsewhere.metadata, { namespace: ELSEWHERE })
      elsewhere.spec.serviceAccountName = 'nobody'
      expect(await ask(elsewhere)).toMatchObject({ code: 0 })
    })
  })

  it('gives its accounts no right beyond what anybody has who can log in', async () => {
    const rightsOf = async (namespace: string, name: string) => {
      const account = api.kubectl.as(`system:serviceaccount:${namespace}:${name}`)
      return (await account.run(['auth', 'can-i', '--list', `--namespace=${namespace}`])).split('\n').sort()
    }
    const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name)
    expect(accounts).toEqual(expect.arrayContaining(['gateway', 'engine-qwen3-32b', 'engine-llama-3-1-8b']))
    const none = await rightsOf(ELSEWHERE, 'nobody')
    expect(none.join('\n')).toContain('selfsubjectaccessreviews')
    for (const name of accounts) expect(await rightsOf(NAMESPACE, name), name).toEqual(none)
    const gateway = api.kubectl.as(`system:serviceaccount:${NAMESPACE}:gateway`)
    for (const kind of ['secrets', 'pods', 'endpointslices.discovery.k8s.io']) {
      expect((await gateway.try(['get', kind, `--namespace=${NAMESPACE}`])).stderr).toContain('Forbidden')
    }
  })
})
