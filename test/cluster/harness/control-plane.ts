// A Kubernetes API of the test's own: etcd and kube-apiserver and, when asked, what reconciles and schedules.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../helpers/free-port.ts'
import { createKubectl, type Kubectl } from './kubectl.ts'
import { eventually, openWorkshop, type Started, type Workshop } from './processes.ts'
import { buildProgram } from './programs.ts'

/** The newest release here whose kubelet still runs on cgroups v1 with containerd 1.6; its kubectl serves all clusters. */
export const NODE_RELEASE = 'kubernetes-1.34'

export interface ControlPlaneOptions {
  /** Whose kube-apiserver: a folder of `programs/`. @default `kubernetes-1.34` */
  readonly release?: string
  /** A folder with `etcd`, `kube-apiserver` and `kubectl`, instead of the release's. @default built from their modules */
  readonly assets?: string
  /** Whether kube-controller-manager and kube-scheduler run as well. @default false */
  readonly reconciles?: boolean
  /** Where the API is to be reached. @default 127.0.0.1 */
  readonly address?: string
  /** More flags of kube-apiserver, after this file's own. */
  readonly apiServerArgs?: readonly string[]
  /** More flags of kube-controller-manager. */
  readonly controllerManagerArgs?: readonly string[]
  /** More flags of kube-scheduler. */
  readonly schedulerArgs?: readonly string[]
}

export interface ControlPlane extends AsyncDisposable {
  readonly url: string
  readonly workshop: Workshop
  /** As an administrator. */
  readonly kubectl: Kubectl
  readonly etcd: Started
  /** The file that says which certificate the API has; a root for clients. */
  readonly certificate: string
  /** Writes a kubeconfig for a component. @param user one of `USERS` or a node's, by `nodeUser` @returns its path */
  kubeconfigOf(user: string): string
  /** Ends kube-apiserver and starts it again on the same port. */
  restartApiServer(): Promise<void>
}

/** Who may call, as lines of a static token file: the user and its groups. */
const USERS: Readonly<Record<string, string>> = {
  admin: 'system:masters',
  'system:kube-controller-manager': '',
  'system:kube-scheduler': '',
  'system:kube-proxy': ''
}

/** The user that the kubelet of a node is. A control plane knows those of its `NODES`. */
export const nodeUser = (name: string): string => `system:node:${name}`

/** The nodes that may have a kubelet here. */
export const NODES = ['gpu-1', 'gpu-2'] as const

function writeCredentials(folder: string) {
  const users: Record<string, string> = { ...USERS }
  for (const node of NODES) users[nodeUser(node)] = 'system:nodes'
  const tokens = new Map(Object.keys(users).map((user) => [user, randomBytes(24).toString('base64url')]))
  const lines = Object.entries(users).map(([user, groups]) => `${tokens.get(user)},${user},${user},"${groups}"`)
  writeFileSync(join(folder, 'tokens.csv'), lines.join('\n'), { mode: 0o600 })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' })
  writeFileSync(join(folder, 'service-accounts.key'), pem, { mode: 0o600 })
  return tokens
}

async function startEtcd(workshop: Workshop, path: string): Promise<{ readonly etcd: Started; readonly url: string }> {
  const url = `http://127.0.0.1:${await freePort()}`
  const peers = `http://127.0.0.1:${await freePort()}`
  const etcd = workshop.start('etcd', path, [
    `--data-dir=${join(workshop.folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=default=${peers}`,
    // its data lives as long as the test: what a disk's sync costs would only be waited for
    '--unsafe-no-fsync',
    '--log-level=warn'
  ])
  return { etcd, url }
}

function apiServerFlags(folder: string, address: string, port: number, etcdUrl: string): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${address}`,
    `--advertise-address=${address === '127.0.0.1' ? '192.0.2.1' : address}`,
    `--secure-port=${port}`,
    // kube-apiserver signs a certificate for itself there, with the service's names in it
    `--cert-dir=${join(folder, 'apiserver')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${join(folder, 'service-accounts.key')}`,
    `--service-account-signing-key-file=${join(folder, 'service-accounts.key')}`,
    '--allow-privileged=true'
  ]
}

function kubeconfig(url: string, certificate: string, user: string, token: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': certificate } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    'current-context': 'test'
  }
}

/** Starts an API and waits until it answers. Disposing ends all of it, and what else was started in its workshop. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { release = NODE_RELEASE, address = '127.0.0.1', reconciles = false, assets } = options
  const find = (module: string, name: string) =>
    assets === undefined ? buildProgram(module, name) : Promise.resolve(join(assets, name))
  const workshop = openWorkshop()
  try {
    const { folder } = workshop
    const tokens = writeCredentials(folder)
    const { etcd, url: etcdUrl } = await startEtcd(workshop, await find('etcd', 'etcd'))
    const port = await freePort()
    const url = `https://${address}:${port}`
    const certificate = join(folder, 'apiserver', 'apiserver.crt')
    const flags = [...apiServerFlags(folder, address, port, etcdUrl), ...(options.apiServerArgs ?? [])]
    const path = await find(release, 'kube-apiserver')
    const kubeconfigOf = (user: string) => {
      const token = tokens.get(user)
      if (token === undefined) throw new Error(`no such user: ${user}; there are ${[...tokens.keys()].join(', ')}`)
      const file = join(folder, `${user.replaceAll(':', '-')}.kubeconfig`)
      // written once: a program that begins while it is written anew would find it empty
      if (existsSync(file)) return file
      writeFileSync(file, JSON.stringify(kubeconfig(url, certificate, user, token)), { mode: 0o600 })
      return file
    }
    const kubectl = createKubectl(await find(NODE_RELEASE, 'kubectl'), kubeconfigOf('admin'))
    const startApiServer = async () => {
      const server = workshop.start('kube-apiserver', path, flags)
      const isReady = async () => {
        server.assertAlive()
        return existsSync(certificate) && (await kubectl.try(['get', '--raw=/readyz'])).code === 0
      }
      await eventually(`${release}'s API is ready`, isReady, { withinMs: 120_000, state: () => server.tail() })
      return server
    }
    mkdirSync(join(folder, 'apiserver'))
    let apiServer = await startApiServer()
    // a namespace that was just made has its default ServiceAccount by a controller only: see `reconciles`
    if (reconciles) await startReconcilers(workshop, release, kubeconfigOf, certificate, options)
    return {
      url,
      workshop,
      kubectl,
      etcd,
      certificate,
      kubeconfigOf,
      async restartApiServer() {
        await apiServer.stop(30_000)
        apiServer = await startApiServer()
      },
      [Symbol.asyncDispose]: () => workshop[Symbol.asyncDispose]()
    }
  } catch (cause) {
    await workshop[Symbol.asyncDispose]()
    throw cause
  }
}

async function startReconcilers(
  workshop: Workshop,
  release: string,
  kubeconfigOf: (user: string) => string,
  certificate: string,
  { controllerManagerArgs = [], schedulerArgs = [] }: ControlPlaneOptions
): Promise<void> {
  const flags = async (user: string) => [
    `--kubeconfig=${kubeconfigOf(user)}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${await freePort()}`,
    '--leader-elect=false'
  ]
  workshop.start('kube-controller-manager', await buildProgram(release, 'kube-controller-manager'), [
    ...(await flags('system:kube-controller-manager')),
    `--service-account-private-key-file=${join(workshop.folder, 'service-accounts.key')}`,
    `--root-ca-file=${certificate}`,
    '--use-service-account-credentials',
    ...controllerManagerArgs
  ])
  workshop.start('kube-scheduler', await buildProgram(release, 'kube-scheduler'), [
    ...(await flags('system:kube-scheduler')),
    ...schedulerArgs
  ])
}
