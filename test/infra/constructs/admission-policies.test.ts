// What the API server refuses in a region: the policies' expressions, evaluated against good and bad objects.
import { describe, expect, it } from 'vitest'
import { findImageProblem } from '../../../infra/lib/image.ts'
import { synthesize } from '../../../infra/main.ts'
import { findRefusals } from '../admission-evaluator.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, inTemporaryDirectory, type Manifest, manifestsOf, region, stackOf } from '../stacks.ts'
import { ingressFor } from '../ways-in.ts'

type Region = ReturnType<typeof region>
const synth = (changes: Partial<Region> = {}) =>
  manifestsOf(stackOf({ regions: [region({ cluster: { kubernetes: '1.30' }, ...changes })] }))
const manifests = synth()
const policies = manifests.filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'))

/** The plural name of each kind that the policies look at. */
const RESOURCES: Record<string, string> = {
  Pod: 'pods',
  Deployment: 'deployments',
  StatefulSet: 'statefulsets',
  DaemonSet: 'daemonsets',
  Job: 'jobs',
  CronJob: 'cronjobs',
  Service: 'services'
}
const refusalsOf = (object: Manifest, oldObject?: Manifest) =>
  findRefusals(manifests, { object, oldObject, resource: RESOURCES[object.kind] ?? object.kind })

const limits = { cpu: 1, memory: '1Gi' }
const container = (changes: object = {}) => ({ name: 'main', image: 'busybox:1.37', resources: { limits }, ...changes })
const metadata = { name: 'x', namespace: 'sluice' }
const specOf = (...containers: object[]) => ({ containers })
const pod = (spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
const makerOf = (kind: string, spec: object): Manifest => {
  const apiVersion = kind.endsWith('Job') ? 'batch/v1' : 'apps/v1'
  const inner = { replicas: 1, template: { spec } }
  return { apiVersion, kind, metadata, spec: kind === 'CronJob' ? { jobTemplate: { spec: inner } } : inner }
}
const service = (spec: object) => ({ apiVersion: 'v1', kind: 'Service', metadata, spec })

describe('the admission policies of a region', () => {
  it('let everything pass that the region itself is made of', () => {
    expect(policies).toHaveLength(4)
    const asked = manifests.filter(({ kind }) => RESOURCES[kind] !== undefined)
    expect(asked.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'Deployment', 'Service'])
    for (const object of asked) expect(refusalsOf(object), `${object.kind} ${object.metadata.name}`).toEqual([])
  })

  it('pass strict schema validation', async () => {
    for (const object of policies) expect(await findSchemaProblems(object), object.metadata.name).toEqual([])
  })

  it.each([
    'busybox',
    'busybox:latest',
    'busybox:LATEST',
    'vllm/vllm-openai:nightly-cu129',
    'localhost:5000/busybox',
    'registry.example.com:5000/team/busybox:stable',
    'busybox:1.37',
    'busybox:developer',
    'busybox:latest_1',
    'localhost:5000/busybox:1',
    `busybox@sha256:${'a'.repeat(64)}`,
    `busybox:latest@sha256:${'a'.repeat(64)}`
  ])('judge the image %s as the stack does', (image) => {
    const refusals = refusalsOf(pod(specOf(container({ image }))))
    const pinned = findImageProblem(image) === undefined
    expect(refusals).toEqual(pinned ? [] : ['pin the image to a version or a digest: container main'])
  })

  it('want limits of every container, and name those without', () => {
    const bare = container({ name: 'bare', resources: undefined })
    const half = container({ name: 'half', resources: { limits: { cpu: 1 }, requests: limits } })
    const started = container({ name: 'start', resources: {} })
    expect(refusalsOf(pod({ ...specOf(container(), bare, half), initContainers: [started] }))).toEqual([
      'set limits for cpu and memory: container bare, half, start'
    ])
  })

  it.each(['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'])(
    'look into the pods that a %s makes',
    (kind) => {
      expect(refusalsOf(makerOf(kind, specOf(container())))).toEqual([])
      expect(refusalsOf(makerOf(kind, specOf({ name: 'main', image: 'busybox' })))).toHaveLength(2)
    }
  )

  it('look at the image of a debug container, which has no limits', () => {
    const debug = (image: string) => ({
      object: pod({ ...specOf(container()), ephemeralContainers: [{ name: 'debug', image }] }),
      oldObject: pod(specOf(container())),
      resource: 'pods/ephemeralcontainers'
    })
    expect(findRefusals(manifests, debug('busybox'))).toEqual([
      'pin the image to a version or a digest: container debug'
    ])
    expect(findRefusals(manifests, debug('busybox:1.37'))).toEqual([])
  })

  it('leave an old object alone until its spec changes, so that it can be deleted', () => {
    const old = pod(specOf(container({ image: 'busybox' })))
    const relabelled = { ...old, metadata: { ...metadata, labels: { a: 'b' } } }
    expect(refusalsOf(relabelled, old)).toEqual([])
    expect(refusalsOf(pod(specOf(container({ image: 'busybox:latest' }))), old)).toHaveLength(1)
  })

  it('keep engines inside: neither a load balancer, nor a node port, nor an external address', () => {
    const { selector } = find(manifests, 'Service', 'engine-llama').spec
    for (const way of [{ type: 'LoadBalancer' }, { type: 'NodePort' }, { externalIPs: ['203.0.113.9'] }]) {
      expect(refusalsOf(service({ ...way, selector })), JSON.stringify(way)).toEqual([
        expect.stringMatching(/^only the gateway may be reached from outside/)
      ])
      // Labels that engines share with the gateway, and none at all.
      const shared = { 'app.kubernetes.io/part-of': 'sluice' }
      expect(refusalsOf(service({ ...way, selector: shared }))).toHaveLength(1)
      expect(refusalsOf(service(way))).toHaveLength(1)
    }
    expect(refusalsOf(service({ type: 'ClusterIP', selector, externalIPs: [] }))).toEqual([])
  })

  it("let the gateway be shown, and the node port on which cert-manager's solver answers", () => {
    const { selector } = find(manifests, 'Service', 'gateway').spec
    expect(refusalsOf(service({ type: 'LoadBalancer', selector }))).toEqual([])
    const solver = { 'acme.cert-manager.io/http-domain': '617481509', 'acme.cert-manager.io/http01-solver': 'true' }
    expect(refusalsOf(service({ type: 'NodePort', selector: solver }))).toEqual([])
    expect(
      refusalsOf(service({ type: 'NodePort', selector: { 'acme.cert-manager.io/http01-solver': 'x' } }))
    ).toHaveLength(1)
  })

  it.each(['cilium', 'cilium-gateway'] as const)(
    'let Cilium make the load balancer of its own proxy with %s, a Service that selects nobody, and nobody else',
    (controller) => {
      const cluster = { kubernetes: '1.30', apis: ['gateway-api'] } satisfies Region['cluster']
      const through = synth({ cluster, ingress: ingressFor(controller) })
      const ask = (username: string, spec: object, among = through) =>
        findRefusals(among, { object: service(spec), resource: 'services', username })
      const operator = 'system:serviceaccount:kube-system:cilium-operator'
      expect(ask(operator, { type: 'LoadBalancer' })).toEqual([])
      expect(ask('somebody@example.com', { type: 'LoadBalancer' })).toHaveLength(1)
      expect(ask('system:serviceaccount:sluice:not-cilium-operator', { type: 'LoadBalancer' })).toHaveLength(1)
      const { selector } = find(through, 'Service', 'engine-llama').spec
      expect(ask(operator, { type: 'LoadBalancer', selector })).toHaveLength(1)
      expect(ask(operator, { type: 'LoadBalancer' }, manifests)).toHaveLength(1)
    }
  )

  it("look at the region's namespace only, and carry its name", () => {
    const elsewhere = pod(specOf(container({ image: 'busybox' })))
    elsewhere.metadata = { ...metadata, namespace: 'other' }
    expect(refusalsOf(elsewhere)).toEqual([])
    expect(policies.map((one) => [one.metadata.name, one.metadata.namespace])).toEqual([
      ['sluice-pods', undefined],
      ['sluice-pods', undefined],
      ['sluice-services', undefined],
      ['sluice-services', undefined]
    ])
  })

  it('are missed at synth where Kubernetes is too old for them and the stack does not say none', () => {
    const noticesOf = (changes: Partial<Region>) =>
      inTemporaryDirectory((directory) => synthesize(stackOf({ regions: [region(changes)] }), directory).notices)
        .filter((notice) => notice.includes('admission policies'))
        .join()
    expect(noticesOf({})).toMatch(/^region eu-west: admission policies need Kubernetes 1\.30, .* newer than 1\.28/)
    expect(noticesOf({ admission: 'none' }) + noticesOf({ cluster: { kubernetes: '1.30' } })).toBe('')
  })

  it('are there from Kubernetes 1.30 on, and only warn or stay away where the stack says so', () => {
    const madeOf = (changes: Partial<Region>) => synth(changes).filter(({ kind }) => kind.startsWith('Validating'))
    expect(madeOf({ cluster: { kubernetes: '1.29' } })).toEqual([])
    expect(madeOf({ cluster: {} })).toEqual([])
    expect(madeOf({ admission: 'none' })).toEqual([])
    const actions = madeOf({ admission: 'warn' }).flatMap(({ spec }) => spec.validationActions ?? [])
    expect(actions).toEqual(['Warn', 'Audit', 'Warn', 'Audit'])
  })
})
