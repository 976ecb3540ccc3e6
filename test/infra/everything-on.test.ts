// A region with every feature on: all of it fits together, and every part of it is what its cluster takes.
import { describe, expect, it } from 'vitest'
import { findRefusals } from './admission-evaluator.ts'
import { EVERYTHING } from './everything-on.ts'
import { dashboardsOf } from './expressions.ts'
import { findTooNew } from './kubernetes-fields.ts'
import { findSchemaProblems } from './kubernetes-schema.ts'
import { podTemplatesOf } from './leader-worker-set-schema.ts'
import { findViolations } from './pod-security.ts'
import { filesOf, type Manifest, manifestsOf } from './stacks.ts'

const files = filesOf(EVERYTHING)
const objects = files.flatMap((file) => file.objects)
const kinds = new Set(objects.map(({ kind }) => kind))

/** Each pod that an object makes, by the object's name. */
const podsOf = (object: Manifest): [string, Manifest][] => {
  if (object.kind === 'LeaderWorkerSet') return podTemplatesOf(object).flatMap(podsOf)
  const spec = object.spec?.template?.spec
  return spec?.containers === undefined ? [] : [[object.metadata.name, spec]]
}
const pods = objects.flatMap(podsOf)

describe('a region with everything on', () => {
  it.each([
    'Job',
    'LeaderWorkerSet',
    'ScaledObject',
    'PodMonitor',
    'PrometheusRule',
    'ExternalSecret',
    'SealedSecret',
    'NetworkPolicy',
    'ValidatingAdmissionPolicy',
    'Gateway',
    'HTTPRoute',
    'Certificate',
    'ApplicationSet',
    'Kustomization'
  ])('makes a %s', (kind) => {
    expect(kinds).toContain(kind)
  })

  // the schemas of a whole Kubernetes are read and compiled for it
  it('passes strict schema validation, every object of it', { timeout: 60_000 }, async () => {
    expect(objects.length).toBeGreaterThan(100)
    for (const object of objects) {
      expect(await findSchemaProblems(object), `${object.kind} ${object.metadata.name}`).toEqual([])
    }
  })

  it('asks for nothing that its Kubernetes does not know', () => {
    expect(objects.flatMap((object) => findTooNew(object, '1.35'))).toEqual([])
  })

  it('has restricted pods, but for the one exception that it names', () => {
    const violations = pods.flatMap(([name, pod]) => findViolations(pod).map((problem) => `${name}: ${problem}`))
    expect(violations).toEqual(['engine-intel: vllm adds capabilities'])
  })

  it('gives every container limits and every pod the Secret of the registry, and no token of the API server', () => {
    expect(pods.length).toBeGreaterThan(8)
    for (const [name, pod] of pods) {
      expect(pod.automountServiceAccountToken, name).toBe(false)
      expect(pod.imagePullSecrets, name).toEqual([{ name: 'registry' }])
      for (const { resources } of [...(pod.initContainers ?? []), ...pod.containers]) {
        expect(Object.keys(resources.limits), name).toEqual(expect.arrayContaining(['cpu', 'memory']))
      }
    }
  })

  it('is let in by its own admission policies', () => {
    const resources: Record<string, string> = { Deployment: 'deployments', Job: 'jobs', Service: 'services' }
    const asked = objects.filter(({ kind }) => resources[kind] !== undefined)
    expect(asked.length).toBeGreaterThan(10)
    for (const object of asked) {
      const resource = resources[object.kind] ?? ''
      expect(findRefusals(objects, { object, resource }), `${object.kind} ${object.metadata.name}`).toEqual([])
    }
  })

  it('stands twice in one cluster, in environments with namespaces and hosts of their own', () => {
    const staging = {
      regions: [
        {
          name: 'eu-west',
          namespace: 'staging',
          ingress: { host: 'staging.example.com', sharedHost: { host: 'staging-all.example.com' } }
        }
      ]
    }
    const twice = manifestsOf({ ...EVERYTHING, environments: { production: {}, staging } })
    const ofCluster = twice.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace === undefined)
    const names = ofCluster.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(names.length).toBeGreaterThan(8)
    expect(new Set(names).size).toBe(names.length)
    const dashboards = dashboardsOf(twice).map(({ uid }) => uid)
    expect(dashboards).toHaveLength(2)
    expect(new Set(dashboards).size).toBe(2)
  })

  it('closes the network and makes Secrets before the first pod, whatever applies the files in their order', () => {
    const region = files.filter(({ file }) => file.startsWith('eu-west/')).map(({ file }) => file)
    expect(region.slice(0, 3)).toEqual([
      'eu-west/00-namespace.yaml',
      'eu-west/00-network-policies.yaml',
      'eu-west/00-secrets.yaml'
    ])
  })
})
