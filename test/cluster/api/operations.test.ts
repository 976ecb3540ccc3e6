// What docs/operations.md tells operators to do with kubectl and GitOps, done to a real API: upgrade, compare, scale, prune.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renderPruneCommand } from '../../../infra/prune.ts'
import { isAtLeast } from '../../../infra/schema/cluster.ts'
import type { StackInput } from '../../../infra/schema.ts'
import { stack } from '../../../infra/stack.ts'
import type { Manifest } from '../../infra/stacks.ts'
import { isSkipped } from '../tiers.ts'
import { type Api, NEWEST } from './apis.ts'
import { applyRegion, CLIENT_SIDE, listOf, readCharts, runStrictly, SERVER_SIDE, writeCharts } from './region-folder.ts'

const ROOT = join(import.meta.dirname, '../../..')
const committed = readCharts(join(ROOT, 'charts-out'))
const EU = 'sluice-eu-west'

/** charts-out/ as it was before its last change, in a folder; undefined where git has no such past, as in a shallow clone. */
function previousCharts(): string | undefined {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: ROOT, maxBuffer: 1 << 30 })
  const isChanged = git('diff', '--quiet', 'HEAD', '--', 'charts-out').status === 1
  const last = git('log', '-1', '--format=%H', '--', 'charts-out').stdout.toString().trim()
  const archive = git('archive', `${isChanged ? 'HEAD' : `${last}^`}:charts-out`)
  if (archive.status !== 0) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'sluice-charts-'))
  execFileSync('tar', ['-x', '-C', folder], { input: archive.stdout })
  return folder
}

/** The stack without the model whose engines KEDA scales, and without its placements. */
const withoutLlama: StackInput = {
  ...stack,
  models: stack.models.filter(({ name }) => name !== 'llama-3-1-8b'),
  regions: stack.regions.map((region) => ({
    ...region,
    placements: region.placements.filter(({ model }) => model !== 'llama-3-1-8b')
  }))
}

/** kubectl replaces the selector of a budget at each apply, whether it differs or not; the API server then stores nothing. */
const ALWAYS_CONFIGURED = /^poddisruptionbudget\.policy\/\S+ configured$/

const keyOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`
const kept = (key: string) => /^(Namespace|PersistentVolume|PersistentVolumeClaim) /.test(key)

describe.skipIf(isSkipped('api'))(`operations on ${NEWEST.title}`, () => {
  let api: Api
  beforeAll(async () => {
    api = await NEWEST.open()
    await api.claim(committed.regions.flatMap((region) => committed.objects(region)))
    const { kubernetes = '1.28' } = stack.regions[0]?.cluster ?? {}
    if (!isAtLeast({ kubernetes: api.minor }, kubernetes)) throw new Error(`charts-out/ needs Kubernetes ${kubernetes}`)
  })
  afterAll(() => api?.[Symbol.asyncDispose]())

  const replicasOf = async (name: string) =>
    (await api.kubectl.get('deployment', name, `--namespace=${EU}`)).spec.replicas
  const apply = async (how: readonly string[]) => {
    for (const region of committed.regions) expect(await applyRegion(api, committed, region, how)).toEqual([])
  }

  it('upgrades what was committed before, without a refusal or a warning', async ({ skip }) => {
    const folder = previousCharts()
    if (folder === undefined) return skip('git does not know an earlier charts-out/: fetch the whole history')
    try {
      for (const region of readCharts(folder).regions) await applyRegion(api, { folder }, region, CLIENT_SIDE)
      await apply(CLIENT_SIDE)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('says that nothing changed when charts-out/ is applied again, and shows no difference', async () => {
    await apply(CLIENT_SIDE)
    for (const region of committed.regions) {
      const kustomize = `--kustomize=${join(committed.folder, region)}`
      const told = (await api.kubectl.run(['apply', kustomize])).trimEnd().split('\n')
      expect(told).toHaveLength(committed.objects(region).length)
      expect(told.filter((line) => !line.endsWith(' unchanged') && !ALWAYS_CONFIGURED.test(line))).toEqual([])
      expect(await api.kubectl.try(['diff', kustomize])).toMatchObject({ code: 0, stdout: '' })
    }
  })

  it.each([
    ['kubectl', CLIENT_SIDE],
    ['the API server', SERVER_SIDE]
  ])('keeps the replicas that an autoscaler has set when %s applies again', async (_who, how) => {
    await apply(how)
    const scale = (name: string) =>
      api.kubectl.run(['scale', `deployment/${name}`, '--replicas=5', `--namespace=${EU}`])
    await scale('gateway')
    await scale('engine-llama-3-1-8b')
    await apply(how)
    expect(await replicasOf('gateway')).toBe(5)
    expect(await replicasOf('engine-llama-3-1-8b')).toBe(5)
  })

  it('takes the objects for Argo CD and Flux', async () => {
    const gitops = committed.objects().filter((object) => /argoproj|fluxcd/.test(object.apiVersion))
    expect(gitops.length).toBeGreaterThan(4)
    const namespaces = [...new Set(gitops.map(({ metadata }) => metadata.namespace))]
    const made = namespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
    await api.claim(made)
    await runStrictly(api, ['create', '--filename=-'], listOf(made))
    for (const folder of ['gitops/argocd', 'gitops/flux']) {
      const args = ['apply', '--validate=strict', `--filename=${join(committed.folder, folder)}`]
      expect(await runStrictly(api, args)).toEqual([])
    }
  })

  it('prunes what the stack no longer has, and nothing else', async () => {
    await apply(CLIENT_SIDE)
    const mine = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'not-of-the-stack', namespace: EU } }
    await runStrictly(api, ['apply', '--filename=-'], JSON.stringify(mine))
    const before = committed.objects('eu-west').map(keyOf)
    using charts = writeCharts(withoutLlama)
    const after = charts.objects('eu-west').map(keyOf)
    const [, ...args] = (renderPruneCommand(withoutLlama, 'eu-west') ?? '').replaceAll('\\\n', '').split(/\s+/)
    const told = await api.kubectl.run(args.map((arg) => arg.replace('charts-out', charts.folder)))

    const pruned = told.split('\n').filter((line) => line.endsWith(' pruned'))
    const left = before.filter((key) => !after.includes(key))
    expect(left.some(kept)).toBe(true)
    expect(pruned).toHaveLength(left.filter((key) => !kept(key)).length)
    // in a cluster with controllers some are there until their finalizers have run
    const there = async () => {
      const { items } = await api.kubectl.get('--ignore-not-found', `--kustomize=${join(committed.folder, 'eu-west')}`)
      return items.map(keyOf).sort()
    }
    const stays = before.filter((key) => after.includes(key) || kept(key)).sort()
    await expect.poll(there, { timeout: 60_000, interval: 1000 }).toEqual(stays)
    expect((await api.kubectl.get('configmap', mine.metadata.name, `--namespace=${EU}`)).metadata.name).toBe(
      mine.metadata.name
    )
    const other = await api.kubectl.get(`--kustomize=${join(committed.folder, 'us-east')}`)
    expect(other.items).toHaveLength(committed.objects('us-east').length)
  })
})
