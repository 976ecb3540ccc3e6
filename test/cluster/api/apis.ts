// The Kubernetes APIs that manifests are applied to: a cluster's that is there, or those of the oldest and the newest release.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KUBERNETES_MINORS, type KubernetesMinor } from '../../../infra/schema/cluster.ts'
import { findProgram } from '../../helpers/program.ts'
import { createClaims } from '../harness/borrowed.ts'
import { NODE_RELEASE, startControlPlane } from '../harness/control-plane.ts'
import { readDefinitions, untilServed } from '../harness/crds.ts'
import { createKubectl, type Kubectl, type KubernetesObject } from '../harness/kubectl.ts'
import { openWorkshop } from '../harness/processes.ts'
import { buildProgram } from '../harness/programs.ts'
import { ASSETS, KUBECONFIG } from '../tiers.ts'

/** An API with the definitions of other projects' kinds in it. */
export interface Api extends AsyncDisposable {
  /** As an administrator. */
  readonly kubectl: Kubectl
  /** The newest minor that stacks can name and the server is not older than. */
  readonly minor: KubernetesMinor
  /** Whether it is somebody's cluster: controllers work in it, and what tests make is removed one by one. */
  readonly isBorrowed: boolean
  /** Before objects are made. @throws if one that is not in a namespace is there already, in a borrowed cluster */
  claim(objects: readonly KubernetesObject[]): Promise<void>
  /** Whether the API has the object's kind. */
  knows(object: KubernetesObject): boolean
}

export interface ApiSource {
  readonly title: string
  open(): Promise<Api>
}

const release = (name: string): ApiSource => ({ title: name, open: () => openOwn(name) })

/** All that can be had here, the oldest first. */
export const APIS: readonly [ApiSource, ...ApiSource[]] =
  KUBECONFIG !== undefined
    ? [{ title: 'the cluster of KUBECONFIG', open: openBorrowed }]
    : ASSETS !== undefined
      ? [{ title: 'the API of KUBEBUILDER_ASSETS', open: () => openOwn() }]
      : [release('kubernetes-1.28'), release('kubernetes-1.37')]

/** For what does not depend on the release. */
export const NEWEST: ApiSource = APIS.at(-1) ?? APIS[0]

async function openOwn(name = NODE_RELEASE): Promise<Api> {
  const plane = await startControlPlane({ release: name, ...(ASSETS === undefined ? {} : { assets: ASSETS }) })
  try {
    await define(plane.kubectl, await readDefinitions())
    return {
      ...(await describe(plane.kubectl)),
      isBorrowed: false,
      claim: async () => {},
      [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]()
    }
  } catch (cause) {
    await plane[Symbol.asyncDispose]()
    throw cause
  }
}

async function openBorrowed(): Promise<Api> {
  await using stack = new AsyncDisposableStack()
  const workshop = stack.use(openWorkshop())
  const path = findProgram('kubectl') ?? (await buildProgram(NODE_RELEASE, 'kubectl'))
  // one context, copied: another one that is chosen meanwhile must not become the one that is worked in
  const copy = join(workshop.folder, 'kubeconfig')
  writeFileSync(copy, execFileSync(path, ['config', 'view', '--minify', '--flatten', '--raw']), { mode: 0o600 })
  const kubectl = createKubectl(path, copy)
  const claims = stack.use(createClaims(kubectl, path, copy))
  const there = new Set((await kubectl.run(['get', 'crd', '--output=name'])).split('\n'))
  const definitions = await readDefinitions()
  const missing = definitions.filter(
    ({ metadata }) => !there.has(`customresourcedefinition.apiextensions.k8s.io/${metadata.name}`)
  )
  await claims.claim(missing)
  await define(kubectl, missing)
  const api = await describe(kubectl)
  const owned = stack.move()
  return {
    ...api,
    isBorrowed: true,
    claim: (objects) => claims.claim(objects),
    [Symbol.asyncDispose]: () => owned.disposeAsync()
  }
}

/** Those that the API refuses are left out: an old one does not take the newest rules, and then does not know the kind. */
async function define(kubectl: Kubectl, definitions: readonly KubernetesObject[]): Promise<void> {
  if (definitions.length === 0) return
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: definitions })
  // created: some are larger than the annotation that an apply would keep of them
  const { code, stderr } = await kubectl.try(['create', '--validate=false', '--filename=-'], list)
  const refused = new Set(
    [...stderr.matchAll(/^The CustomResourceDefinition "(\S+)" is invalid/gm)].map(([, name]) => name)
  )
  if (code !== 0 && refused.size === 0) throw new Error(`CRDs were not created: ${stderr}`)
  const names = definitions.map(({ metadata }) => metadata.name).filter((name) => !refused.has(name))
  await untilServed(kubectl, names)
}

async function describe(kubectl: Kubectl): Promise<Pick<Api, 'kubectl' | 'minor' | 'knows'>> {
  const { serverVersion } = JSON.parse(await kubectl.run(['version', '--output=json']))
  const server = Number.parseInt(serverVersion.minor, 10)
  const minor = KUBERNETES_MINORS.findLast((one) => Number(one.split('.')[1]) <= server)
  if (minor === undefined) {
    throw new Error(`the API is Kubernetes 1.${server}, and manifests are made for ${KUBERNETES_MINORS[0]} and newer`)
  }
  const resources = (await kubectl.run(['api-resources', '--no-headers'])).trimEnd().split('\n')
  // name, perhaps short names, version, whether it is in namespaces, kind
  const kinds = new Set(
    resources.map((line) => line.split(/\s+/).slice(-3)).map(([version, , kind]) => `${version} ${kind}`)
  )
  return { kubectl, minor, knows: ({ apiVersion, kind }) => kinds.has(`${apiVersion} ${kind}`) }
}
