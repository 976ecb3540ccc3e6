// A region's own output on a running cluster: what must be there before it, its objects as they are, and what it is reached by.
import { join } from 'node:path'
import { SECRETS } from '../../../infra/stack.ts'
import { readCharts } from '../api/region-folder.ts'
import { makeCertificate } from '../harness/certificate.ts'
import type { Cluster } from '../harness/cluster.ts'
import { REPOSITORY } from '../harness/images.ts'
import type { KubernetesObject } from '../harness/kubectl.ts'
import { runProgram } from '../harness/shell.ts'
import { provideVolumes } from '../harness/volumes.ts'

/** The one with Traefik; the manifests are what `npm run synth` wrote and git has. */
const REGION = 'us-east'
const CHARTS = join(REPOSITORY, 'charts-out')
const FOLDER = join(CHARTS, REGION)

export const OBJECTS: readonly KubernetesObject[] = readCharts(CHARTS).objects(REGION)

const byKind = (kind: string) => OBJECTS.filter((object) => object.kind === kind)
export const NAMESPACE: string = byKind('Namespace')[0].metadata.name
export const HOST: string = byKind('Ingress')[0].spec.rules[0].host

const imageOf = (deployment: string) =>
  byKind('Deployment').find(({ metadata }) => metadata.name.startsWith(deployment)).spec.template.spec.containers[0]
    .image

/** As containerd knows them: a name without a registry is one of Docker's. */
export const IMAGES = { gateway: imageOf('gateway'), engine: `docker.io/${imageOf('engine-')}` }

export interface Region {
  /** Of a client. */
  readonly key: string
  /** What the engines want to see, from the gateway alone. */
  readonly engineKey: string
  /** Files with the certificate that the Ingress has, and its key. */
  readonly certificate: string
  readonly certificateKey: string
}

const keysFile = ({ plane }: Cluster) => join(plane.workshop.folder, 'keys.json')

/** Adds a key to the file of them. */
async function makeKey(cluster: Cluster, id: string): Promise<string> {
  const script = join(REPOSITORY, 'gateway/cli/keys.ts')
  const printed = await runProgram([process.execPath, script, id, '--file', keysFile(cluster)])
  const key = /sk-\S+/.exec(printed)?.[0]
  if (key === undefined) throw new Error(`no key in what the command printed: ${printed}`)
  return key
}

/** Replaces the Secret of API keys, as docs/operations.md tells operators to, by one with a further key. */
export async function addKey(cluster: Cluster, id: string): Promise<string> {
  const { kubectl } = cluster.plane
  const key = await makeKey(cluster, id)
  const file = `--from-file=${SECRETS.apiKeys.key}=${keysFile(cluster)}`
  const secret = ['create', 'secret', 'generic', SECRETS.apiKeys.name, file, '--dry-run=client', '--output=yaml']
  await kubectl.run(['--namespace', NAMESPACE, 'apply', '--filename=-'], await kubectl.run(secret))
  return key
}

async function makeSecrets(cluster: Cluster): Promise<Region> {
  const { kubectl, workshop } = cluster.plane
  const key = await makeKey(cluster, 'tester')
  const engineKey = 'engine-key-of-the-test'
  const hosts = byKind('Ingress').flatMap(({ spec }) => spec.tls)
  const tls = await makeCertificate(
    workshop.folder,
    hosts.flatMap(({ hosts }) => hosts)
  )
  const create = (...args: string[]) => kubectl.run(['--namespace', NAMESPACE, 'create', 'secret', ...args])
  await create('generic', SECRETS.apiKeys.name, `--from-file=${SECRETS.apiKeys.key}=${keysFile(cluster)}`)
  await create('generic', SECRETS.engineKey.name, `--from-literal=${SECRETS.engineKey.key}=${engineKey}`)
  await create('generic', SECRETS.huggingFace.name, `--from-literal=${SECRETS.huggingFace.key}=hf_test`)
  for (const { secretName } of hosts) await create('tls', secretName, `--cert=${tls.certificate}`, `--key=${tls.key}`)
  return { key, engineKey, certificate: tls.certificate, certificateKey: tls.key }
}

/**
 * Applies the region as docs/operations.md tells operators to. Two replicas of the gateway are what KEDA would ask for,
 * which does not run here.
 */
export async function installRegion(cluster: Cluster): Promise<Region> {
  const { kubectl } = cluster.plane
  await provideVolumes(cluster, byKind('PersistentVolumeClaim'))
  await kubectl.run(['apply', `--filename=${join(FOLDER, '00-namespace.yaml')}`])
  const region = await makeSecrets(cluster)
  await kubectl.run(['apply', '--kustomize', FOLDER])
  await kubectl.run(['--namespace', NAMESPACE, 'scale', 'deployment/gateway', '--replicas=2'])
  return region
}
