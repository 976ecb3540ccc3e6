// A small stack to change in one place, and its manifests as plain objects.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { KUSTOMIZATION_FILE } from '../../infra/lib/kustomization.ts'
import { synthesize } from '../../infra/main.ts'
import type { KubernetesMinor } from '../../infra/schema/cluster.ts'
import { parseStack, type RegionInput, StackError, type StackInput } from '../../infra/schema.ts'

type ModelInput = StackInput['models'][number]
type PlacementInput = RegionInput['placements'][number]

/** An object as it stands in YAML: tests reach into it by path. */
// biome-ignore lint/suspicious/noExplicitAny: a manifest's shape is what the tests are about
export type Manifest = any

export const model = (changes: Partial<ModelInput> = {}): ModelInput => ({
  name: 'llama',
  servedName: 'llama-3.1-8b-instruct',
  image: 'vllm/vllm-openai:v0.31.0',
  gpus: 1,
  maxOutputTokens: 1024,
  settings: { model: 'meta-llama/Llama-3.1-8B-Instruct' },
  ...changes
})

export const placement = (changes: Partial<PlacementInput> = {}): PlacementInput => ({
  model: 'llama',
  cache: { kind: 'empty-dir', sizeGiB: 50 },
  ...changes
})

export const region = (changes: Partial<RegionInput> = {}): RegionInput => ({
  name: 'eu-west',
  namespace: 'sluice',
  gateway: { image: 'ghcr.io/sluice/gateway:0.1.0', keysSecret: { name: 'api-keys', key: 'keys.json' } },
  ingress: { controller: 'f5-nginx', host: 'llm.example.com', tls: { secretName: 'llm-tls' } },
  placements: [placement()],
  ...changes
})

/** A region whose cluster has KEDA and the Prometheus operator. */
export const watched = (changes: Partial<RegionInput> = {}): RegionInput =>
  region({
    cluster: { apis: ['prometheus-operator', 'keda'] },
    monitoring: { prometheusUrl: 'http://prometheus.monitoring.svc:9090' },
    ...changes
  })

export const stackOf = (changes: Partial<StackInput> = {}): StackInput => ({
  models: [model()],
  regions: [region()],
  ...changes
})

/** A stack of one model, placed once in one region. */
export const stackWith = (
  changes: { model?: object; settings?: object; placement?: object; region?: object } = {}
): StackInput =>
  stackOf({
    models: [{ ...model(), settings: { ...model().settings, ...changes.settings }, ...changes.model }],
    regions: [{ ...region(), placements: [{ ...placement(), ...changes.placement }], ...changes.region }]
  })

/** The stack for clusters of another Kubernetes. */
export const onKubernetes = (kubernetes: KubernetesMinor, input: StackInput): StackInput => ({
  ...input,
  regions: input.regions.map((one) => ({ ...one, cluster: { ...one.cluster, kubernetes } }))
})

/** Everything that a stack is refused for, each as `path: message`. */
export function problemsOf(input: unknown): readonly string[] {
  try {
    parseStack(input)
  } catch (error) {
    if (error instanceof StackError) return error.problems
    throw error
  }
  return []
}

/** Runs `use` with an empty directory, and removes it. */
export function inTemporaryDirectory<T>(use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-charts-'))
  try {
    return use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The names of the files that a stack synthesizes to, written below `directory`. */
export function synthesizedFiles(stack: StackInput, directory: string): string[] {
  return synthesize(stack, directory).files
}

/** What synth tells the operator of a stack. */
export const noticesOf = (stack: StackInput): readonly string[] =>
  inTemporaryDirectory((directory) => synthesize(stack, directory).notices)

/** Each file of objects that a stack synthesizes to, read back from the written YAML; kustomizations are left out. */
export function filesOf(stack: StackInput): { file: string; objects: Manifest[] }[] {
  return inTemporaryDirectory((directory) =>
    synthesizedFiles(stack, directory)
      .filter((file) => !file.endsWith(KUSTOMIZATION_FILE))
      .map((file) => ({ file, objects: readObjects(join(directory, file)) }))
  )
}

/** Every object that a stack synthesizes to. */
export function manifestsOf(stack: StackInput): Manifest[] {
  return filesOf(stack).flatMap(({ objects }) => objects)
}

/** The objects of a file. */
export function readObjects(path: string): Manifest[] {
  return parseManifests(readFileSync(path, 'utf8'))
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS())
}

/** The one object of a kind and name. */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} objects are ${kind} ${name}`)
  return found[0]
}

/** The pod template's spec of the Deployment `name`. */
export function podOf(manifests: readonly Manifest[], name: string): Manifest {
  return find(manifests, 'Deployment', name).spec.template.spec
}
