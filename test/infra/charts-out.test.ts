// What is committed in charts-out/: the same as a fresh synth, valid, restricted, and free of secrets.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KUSTOMIZATION_FILE } from '../../infra/lib/kustomization.ts'
import { synthesize } from '../../infra/main.ts'
import { stack } from '../../infra/stack.ts'
import { findSchemaProblems } from './kubernetes-schema.ts'
import { findViolations } from './pod-security.ts'
import { find, inTemporaryDirectory, type Manifest, manifestsOf, parseManifests, stackOf } from './stacks.ts'
import { everythingFor, ingressFor, stackThrough } from './ways-in.ts'

const root = join(import.meta.dirname, '../../charts-out')
const readAll = (directory: string) =>
  Object.fromEntries(
    globSync('**/*', { cwd: directory, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [file.slice(directory.length + 1), readFileSync(file, 'utf8')])
  )
const committed = readAll(root)
const objects = Object.entries(committed)
  .filter(([file]) => !file.endsWith(KUSTOMIZATION_FILE))
  .flatMap(([, text]) => parseManifests(text))
const pods = (kind: Manifest[]) => kind.map((one) => one.spec?.template?.spec).filter((spec) => spec?.containers)

describe('charts-out', () => {
  it('equals a fresh synth of the stack, file by file and byte by byte', () => {
    const fresh = inTemporaryDirectory((directory) => {
      synthesize(stack, directory)
      return readAll(directory)
    })
    expect(Object.keys(committed)).toEqual(Object.keys(fresh))
    for (const [file, text] of Object.entries(fresh)) expect(committed[file], file).toBe(text)
  })

  it('lets the namespace sort first in every region, so one apply is enough', () => {
    const folders = Object.keys(committed).flatMap((file) => (file.endsWith(KUSTOMIZATION_FILE) ? [dirname(file)] : []))
    expect(folders.length).toBeGreaterThan(0)
    for (const folder of folders) {
      const files = Object.keys(committed).filter((file) => dirname(file) === folder)
      expect(files[0]).toBe(`${folder}/00-namespace.yaml`)
      expect(files.length).toBeGreaterThan(3)
    }
  })

  it('makes accounts and configuration before the pods that need them', () => {
    for (const [file, text] of Object.entries(committed)) {
      const kinds = parseManifests(text).map((one) => one.kind)
      if (!kinds.includes('Deployment')) continue
      for (const kind of ['ServiceAccount', 'ConfigMap', 'PersistentVolumeClaim']) {
        expect(kinds.lastIndexOf(kind), `${kind} in ${file}`).toBeLessThan(kinds.indexOf('Deployment'))
      }
    }
  })

  it('passes strict schema validation, every object of it', async () => {
    expect(objects.length).toBeGreaterThan(20)
    for (const object of objects) {
      expect(await findSchemaProblems(object), `${object.kind} ${object.metadata.name}`).toEqual([])
    }
  })

  it('has restricted pods only, in namespaces that enforce it', () => {
    expect(pods(objects).length).toBeGreaterThan(4)
    for (const pod of pods(objects)) expect(findViolations(pod)).toEqual([])
    for (const namespace of objects.filter((one) => one.kind === 'Namespace')) {
      for (const mode of ['enforce', 'warn', 'audit']) {
        expect(namespace.metadata.labels[`pod-security.kubernetes.io/${mode}`]).toBe('restricted')
      }
    }
  })

  it('gives every container requests and limits, a pinned image and no token of the API server', () => {
    for (const pod of pods(objects)) {
      expect(pod.automountServiceAccountToken).toBe(false)
      for (const container of pod.containers) {
        for (const kind of ['requests', 'limits']) {
          expect(container.resources[kind].cpu).toMatch(/^[1-9]\d*m?$/)
          expect(container.resources[kind].memory).toMatch(/^\d+[MG]i$/)
        }
        expect(container.image).toMatch(/(:[^:@]+|@sha256:[0-9a-f]{64})$/)
        expect(container.image).not.toMatch(/:latest/)
      }
    }
  })

  it('holds no value of a secret', () => {
    expect(objects.filter((one) => one.kind === 'Secret')).toEqual([])
    for (const [file, text] of Object.entries(committed)) {
      expect(text, file).not.toMatch(/\b(sk-|hf_|ghp_|AKIA)[A-Za-z0-9]{8}|BEGIN [A-Z ]*PRIVATE KEY|Bearer \S/)
    }
    for (const container of pods(objects).flatMap((pod) => pod.containers)) {
      for (const { name, value } of container.env) {
        if (/TOKEN|API_KEY|SECRET|PASSWORD/.test(name)) expect(value, name).toBeUndefined()
      }
    }
  })
})

describe('the checks of charts-out', () => {
  const deployment = () => find(manifestsOf(stackOf()), 'Deployment', 'engine-llama')

  it('refuse an unknown field, at the top and deep inside', async () => {
    const object = deployment()
    object.spec.replcas = 2
    object.spec.template.spec.containers[0].lifecycle.preStop.exec.comand = ['true']
    expect((await findSchemaProblems(object)).sort()).toEqual([
      '/spec/replcas: unknown field',
      '/spec/template/spec/containers/0/lifecycle/preStop/exec/comand: unknown field'
    ])
  })

  it.each(['envoy-gateway', 'istio-gateway', 'contour', 'traefik', 'nginx-gateway-fabric', 'gke'] as const)(
    'refuse an unknown field and a wrong type in the kinds of %s',
    async (controller) => {
      const objects = manifestsOf(stackThrough(ingressFor(controller, everythingFor(controller))))
      const builtIn = ['v1', 'apps/v1', 'policy/v1', 'networking.k8s.io/v1']
      const own = objects.filter(({ apiVersion, spec }) => !builtIn.includes(apiVersion) && spec)
      expect(own.length).toBeGreaterThan(0)
      for (const object of own) {
        const [field] = Object.keys(object.spec)
        const misspelt = { ...object, spec: { ...object.spec, [`${field}s2`]: 1 } }
        expect((await findSchemaProblems(misspelt)).join(), object.kind).toMatch(new RegExp(`${field}s2|nrecognized`))
        const mistyped = { ...object, spec: { ...object.spec, [field ?? '']: 7.5 } }
        expect(await findSchemaProblems(mistyped), object.kind).not.toEqual([])
      }
    }
  )

  it('refuse a wrong type and a missing field', async () => {
    const object = deployment()
    object.spec.replicas = 'two'
    delete object.spec.selector
    const problems = await findSchemaProblems(object)
    expect(problems.join()).toMatch(/replicas.*integer/)
    expect(problems.join()).toMatch(/selector/)
  })

  it('refuse a pod that is not restricted, whichever rule it breaks', () => {
    const pod = deployment().spec.template.spec
    expect(findViolations(pod)).toEqual([])
    const broken = structuredClone(pod)
    broken.hostNetwork = true
    broken.securityContext = {}
    broken.containers[0].securityContext = { privileged: true }
    broken.volumes.push({ name: 'host', hostPath: { path: '/' } })
    expect(findViolations(broken)).toHaveLength(7)
  })
})
