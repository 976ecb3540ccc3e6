// Builds the programs of a cluster from pinned Go modules, once for each pin: their folder is outside the repository.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../helpers/program.ts'

/** Where what was built stays: `SLUICE_CLUSTER_CACHE`, else the user's cache folder. Safe to delete at any time. */
export const CACHE =
  process.env.SLUICE_CLUSTER_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sluice-cluster')

/** The Go that builds the programs; undefined where there is none. */
export const GO = findProgram('go', '/usr/local/go/bin/go')

const MODULES = join(import.meta.dirname, '..', 'programs')

const kubernetes = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`]))

/** Each folder of `programs/` with the main packages that are built from it. One folder a version: their pins collide. */
const PACKAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  coredns: { coredns: 'github.com/coredns/coredns' },
  etcd: { etcd: 'go.etcd.io/etcd/server/v3' },
  'kube-router': { 'kube-router': 'github.com/cloudnativelabs/kube-router/v2/cmd/kube-router' },
  'kubernetes-1.28': kubernetes('kube-apiserver'),
  'kubernetes-1.34': kubernetes(
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
    'kubectl'
  ),
  'kubernetes-1.37': kubernetes('kube-apiserver'),
  kwok: { kwok: 'sigs.k8s.io/kwok/cmd/kwok' },
  'leader-worker-set': { 'lws-manager': 'sigs.k8s.io/lws/cmd' },
  traefik: { traefik: 'github.com/traefik/traefik/v3/cmd/traefik' }
}

/** A release of Kubernetes keeps its version out of its sources: without these flags it says v0.0.0 and kubectl is refused. */
function linkerFlags(goMod: string): string {
  const [, major, minor, patch] = /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)/.exec(goMod) ?? []
  if (major === undefined) return '-s -w'
  const version = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor }
  const set = (path: string) => Object.entries(version).map(([name, value]) => `-X ${path}.${name}=${value}`)
  return ['-s', '-w', ...set('k8s.io/component-base/version'), ...set('k8s.io/client-go/pkg/version')].join(' ')
}

/** Runs Go in a folder of `programs/`. @returns what it printed @throws with what it complained of */
export async function runGo(module: string, args: readonly string[]): Promise<string> {
  if (GO === undefined)
    throw new Error('no Go here: install Go 1.26, or set KUBEBUILDER_ASSETS to a folder of binaries')
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' }
  const child = spawn(GO, args, { cwd: join(MODULES, module), env, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let complained = ''
  child.stdout.on('data', (bytes) => (printed += bytes))
  child.stderr.on('data', (bytes) => (complained += bytes))
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  if (code !== 0) throw new Error(`go ${args.join(' ')} in programs/${module}:\n${complained.slice(-4000)}`)
  return printed
}

/**
 * The path of a program, which is built first where it has not been: minutes for Kubernetes, on two cores.
 * @param module a folder of `programs/`
 * @param name the program's own name, `kube-apiserver`
 */
export async function buildProgram(module: string, name: string): Promise<string> {
  const main = PACKAGES[module]?.[name]
  if (main === undefined) throw new Error(`programs/${module} builds no ${name}`)
  const [goMod, goSum] = ['go.mod', 'go.sum'].map((file) => readFileSync(join(MODULES, module, file), 'utf8'))
  const flags = linkerFlags(goMod ?? '')
  const key = createHash('sha256').update(`${process.arch}\n${flags}\n${goMod}\n${goSum}`).digest('hex').slice(0, 16)
  const folder = join(CACHE, `${module}-${key}`)
  const path = join(folder, name)
  if (existsSync(path)) return path
  process.stderr.write(`cluster: building ${name} of ${module}\n`)
  mkdirSync(folder, { recursive: true })
  // built beside its place and moved there whole: another run, or one that was stopped, never sees half a program
  const building = mkdtempSync(join(folder, 'building-'))
  try {
    await runGo(module, ['build', '-trimpath', '-buildvcs=false', '-ldflags', flags, '-o', join(building, name), main])
    renameSync(join(building, name), path)
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
  return path
}

/** Builds what has not been built, one after the other: Go uses all cores by itself. */
export async function buildAllPrograms(): Promise<void> {
  for (const [module, names] of Object.entries(PACKAGES)) {
    for (const name of Object.keys(names)) await buildProgram(module, name)
  }
}

/** The folder of a module's sources in Go's module cache, for the files in it: CRDs, a simulator's stages. */
export async function sourcesOf(module: string, path: string): Promise<string> {
  await runGo(module, ['mod', 'download', path])
  return (await runGo(module, ['list', '-m', '-f', '{{.Dir}}', path])).trim()
}
