// Which tiers of a real Kubernetes can run on this machine, and why the others can't.
import { existsSync } from 'node:fs'
import { findProgram } from '../helpers/program.ts'
import { GO } from './harness/programs.ts'

/** A tier and, where it can't run, what it lacks and the remedy. */
export interface Tier {
  readonly name: 'api' | 'scheduling' | 'running'
  readonly lacks?: string
}

const NO_GO = 'no Go to build Kubernetes with: install Go 1.26'

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
  const build = GO === undefined ? { lacks: NO_GO } : {}
  const nodeLack = build.lacks ?? findNodeLack()
  return [
    { name: 'api', ...build },
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
