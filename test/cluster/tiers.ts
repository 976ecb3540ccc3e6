// Which tiers of a real Kubernetes can run on this machine, and why the others can't.
import { existsSync } from 'node:fs'
import { findProgram } from '../helpers/program.ts'
import { GO } from './harness/programs.ts'

/** A tier and, where it can't run, what it lacks and the remedy. */
export interface Tier {
  readonly name: 'api' | 'scheduling' | 'running'
  /** What it runs on, where that is not built here. */
  readonly on?: string
  readonly lacks?: string
}

const set = (value: string | undefined) => (value === '' ? undefined : value)

/** The files of a cluster that is there: only the API tier uses it, which leaves nothing behind. */
export const KUBECONFIG = set(process.env.KUBECONFIG)

/** A folder with `etcd`, `kube-apiserver` and `kubectl` in it, as controller-runtime's setup-envtest makes it. */
export const ASSETS = set(process.env.KUBEBUILDER_ASSETS)

const NO_GO = 'no Go to build Kubernetes and to read CRDs with: install Go 1.26'
const BORROWED = 'KUBECONFIG names a cluster, and only manifests are tried there'
const GIVEN = 'KUBEBUILDER_ASSETS has no scheduler and no kubelet'

function findApi(): Omit<Tier, 'name'> {
  if (GO === undefined) return { lacks: NO_GO }
  if (KUBECONFIG !== undefined) return { on: 'the cluster of KUBECONFIG' }
  if (ASSETS === undefined) return {}
  const missing = ['etcd', 'kube-apiserver', 'kubectl'].filter((name) => !findProgram(`${ASSETS}/${name}`))
  return missing.length === 0
    ? { on: 'the programs of KUBEBUILDER_ASSETS' }
    : { lacks: `no ${missing.join(', ')} in ${ASSETS}: correct KUBEBUILDER_ASSETS, or unset it to build them` }
}

/** What a node is made of, by the Debian package that has it. */
const NODE_PROGRAMS: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  catatonit: 'catatonit',
  conntrack: 'conntrack',
  containerd: 'containerd',
  ip: 'iproute2',
  ipset: 'ipset',
  iptables: 'iptables',
  nginx: 'nginx-light',
  openssl: 'openssl',
  runc: 'runc',
  unshare: 'util-linux'
}

/** Where Debian's `containernetworking-plugins` puts its programs. */
export const CNI_PLUGINS = '/usr/lib/cni'

/** Why a node can't run here; undefined where it can. */
function findNodeLack(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'namespaces and mounts want root on Linux'
  const missing = Object.entries(NODE_PROGRAMS).filter(([name]) => findProgram(name) === undefined)
  const packages = missing.map(([, name]) => name)
  if (!existsSync(`${CNI_PLUGINS}/bridge`)) packages.push('containernetworking-plugins')
  return packages.length === 0 ? undefined : `apt-get install ${packages.join(' ')}`
}

/** Looks at the machine; starts nothing. */
export function findTiers(): readonly Tier[] {
  const given = KUBECONFIG !== undefined ? BORROWED : ASSETS !== undefined ? GIVEN : undefined
  const build = given !== undefined ? { lacks: given } : GO === undefined ? { lacks: NO_GO } : {}
  const nodeLack = build.lacks ?? findNodeLack()
  return [
    { name: 'api', ...findApi() },
    { name: 'scheduling', ...build },
    { name: 'running', ...(nodeLack === undefined ? {} : { lacks: nodeLack }) }
  ]
}

/**
 * Whether a tier's tests are to be skipped. Where CI=true nothing is: a tier that can't run fails there.
 * @param name of the tier
 */
export function isSkipped(name: Tier['name']): boolean {
  return process.env.CI !== 'true' && findTiers().some((tier) => tier.name === name && tier.lacks !== undefined)
}
