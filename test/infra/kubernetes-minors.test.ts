// Every supported minor of Kubernetes gets manifests that it knows: strict schemas, and no field that is newer.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { KUBERNETES_MINORS } from '../../infra/schema/cluster.ts'
import { stack } from '../../infra/stack.ts'
import { findTooNew } from './kubernetes-fields.ts'
import { findSchemaProblems } from './kubernetes-schema.ts'
import { RELEASED_STACK } from './released-stack.ts'
import { find, manifestsOf, onKubernetes, stackOf } from './stacks.ts'

describe.each(KUBERNETES_MINORS)('Kubernetes %s', (minor) => {
  const objects = [stack, RELEASED_STACK].flatMap((input) => manifestsOf(onKubernetes(minor, input)))

  it('gets no field and no kind that is newer', () => {
    expect(objects.length).toBeGreaterThan(50)
    expect(objects.flatMap((object) => findTooNew(object, minor))).toEqual([])
  })

  it('gets objects that pass strict schema validation', async () => {
    for (const object of objects) {
      expect(await findSchemaProblems(object), `${object.kind} ${object.metadata.name}`).toEqual([])
    }
  })

  it('stands in the table of docs/kubernetes.md', () => {
    const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8')
    expect(page).toMatch(new RegExp(`^\\| ${minor.replace('.', '\\.')} \\|`, 'm'))
  })
})

describe('the check of fields', () => {
  const engine = () => find(manifestsOf(stackOf()), 'Deployment', 'engine-llama')

  it('finds a field of a container, of a pod and of a Service that a cluster does not know yet', () => {
    const object = engine()
    const pod = object.spec.template.spec
    pod.containers[0].lifecycle.preStop = { sleep: { seconds: 5 } }
    pod.resources = { limits: { cpu: 1 } }
    const service = { apiVersion: 'v1', kind: 'Service', spec: { trafficDistribution: 'PreferClose' } }
    expect([object, service].flatMap((one) => findTooNew(one, '1.28'))).toEqual([
      'Deployment *.lifecycle.*.sleep needs Kubernetes 1.30, and the cluster has 1.28',
      'Deployment resources needs Kubernetes 1.34, and the cluster has 1.28',
      'Service spec.trafficDistribution needs Kubernetes 1.31, and the cluster has 1.28'
    ])
    expect([object, service].flatMap((one) => findTooNew(one, '1.34'))).toEqual([])
  })

  it("finds a pod below an operator's own kind, and a kind that is newer", () => {
    const group = {
      apiVersion: 'leaderworkerset.x-k8s.io/v1',
      kind: 'LeaderWorkerSet',
      spec: { leaderWorkerTemplate: { workerTemplate: { spec: { containers: [], hostUsers: false } } } }
    }
    expect(findTooNew(group, '1.32')).toEqual([expect.stringMatching(/hostUsers needs Kubernetes 1\.33/)])
    const claim = { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaimTemplate', spec: {} }
    expect(findTooNew(claim, '1.33')).toEqual([expect.stringMatching(/^ResourceClaimTemplate needs Kubernetes 1\.34/)])
    expect(findTooNew(claim, '1.34')).toEqual([])
  })

  it("takes a container's resources for what they are", () => {
    expect(engine().spec.template.spec.containers[0].resources.limits['nvidia.com/gpu']).toBe('1')
    expect(findTooNew(engine(), '1.28')).toEqual([])
  })
})
