// A stack's output in a folder of its own, and what operators do with it: apply a region in the order that docs/operations.md tells.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { KUSTOMIZATION_FILE } from '../../../infra/lib/kustomization.ts'
import { synthesize } from '../../../infra/main.ts'
import type { StackInput } from '../../../infra/schema.ts'
import { type Manifest, readObjects } from '../../infra/stacks.ts'
import type { Api } from './apis.ts'

/** A folder like `charts-out/`. */
export interface Charts extends Disposable {
  readonly folder: string
  /** Regions, as `eu-west` or `staging/eu-west`. */
  readonly regions: readonly string[]
  /** Every object of a region, or of all of them and of GitOps controllers. */
  objects(region?: string): Manifest[]
}

/** Synthesizes a stack for an API; disposing removes the folder. @throws StackError of a stack that is refused */
export function writeCharts(input: StackInput): Charts {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-charts-'))
  synthesize(input, folder)
  return { ...readCharts(folder), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** What has been written already. */
export function readCharts(folder: string): Omit<Charts, keyof Disposable> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .sort()
  const regions = files.filter((file) => file.endsWith(KUSTOMIZATION_FILE)).map((file) => dirname(file))
  return {
    folder,
    regions,
    objects: (region) =>
      files
        .filter((file) => !file.endsWith(KUSTOMIZATION_FILE) && (region === undefined || dirname(file) === region))
        .flatMap((file) => readObjects(join(folder, file)))
  }
}

/** How kubectl applies: itself, as docs/operations.md shows it, or the API server. */
export const CLIENT_SIDE: readonly string[] = []
export const SERVER_SIDE: readonly string[] = ['--server-side']

/**
 * Applies a region as an operator does: its namespace first, where Secrets are made next, then all of it.
 * @returns what the API server warned of, a line each @throws if anything is refused
 */
export async function applyRegion(api: Api, charts: Pick<Charts, 'folder'>, region: string, how = SERVER_SIDE) {
  const folder = join(charts.folder, region)
  const namespace = ['apply', ...how, '--validate=strict', `--filename=${join(folder, '00-namespace.yaml')}`]
  const whole = ['apply', ...how, '--validate=strict', `--kustomize=${folder}`]
  const warnings: string[] = []
  for (const args of [namespace, whole]) warnings.push(...(await runStrictly(api, args)))
  return warnings
}

/** kubectl says so of every kustomization that sets its order, though its own flag for it is gone; it heeds the former. */
const ORDER_IS_SET = /Warning: Sorting order is set both in 'kustomization.yaml'/

/** @returns what it wrote beside its answer, a line each: warnings @throws if anything is refused */
export async function runStrictly({ kubectl }: Api, args: readonly string[], input?: string): Promise<string[]> {
  const { code, stdout, stderr } = await kubectl.try(args, input)
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`)
  return stderr.split('\n').filter((line) => line !== '' && !ORDER_IS_SET.test(line))
}

/** Objects as one that kubectl takes from its standard input. */
export const listOf = (items: readonly Manifest[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })

/** Kinds whose controllers wake up at every write: an apply without a change must not write them. */
const WATCHED = new Set(['ConfigMap', 'Deployment', 'Ingress', 'Job', 'LeaderWorkerSet', 'NetworkPolicy', 'Service'])

/** The objects of a region as they are in the cluster, without what others than its owner write. */
export async function readRegion(api: Api, charts: Pick<Charts, 'folder'>, region: string): Promise<Manifest[]> {
  const { items } = await api.kubectl.get(`--kustomize=${join(charts.folder, region)}`)
  return items.map(({ status: _status, metadata: { managedFields: _fields, ...metadata }, ...rest }: Manifest) => {
    // of others the generation tells: a default that they have in a list or the status may be stored by the second write only
    if (api.isBorrowed || !WATCHED.has(rest.kind)) delete metadata.resourceVersion
    return { metadata, ...rest }
  })
}
