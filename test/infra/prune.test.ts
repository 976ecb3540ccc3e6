// The command that applies and prunes one region.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { renderPruneCommand } from '../../infra/prune.ts'
import { filesOf, placement, region, stackOf, watched } from './stacks.ts'

const SCRIPT = join(import.meta.dirname, '../../infra/prune.ts')
const cache = { kind: 'host-path', path: '/models' } as const
const stack = stackOf({
  regions: [
    region({ placements: [placement({ cache })] }),
    region({ name: 'us', namespace: 'us', ingress: { ...region().ingress, controller: 'traefik' } })
  ]
})
const allowed = (folder: string, input = stack) =>
  [...(renderPruneCommand(input, folder) ?? '').matchAll(/--prune-allowlist=(\S+)/g)].map((match) => match[1])

describe('renderPruneCommand', () => {
  it('selects the objects of the region by their label, and applies its folder', () => {
    expect(renderPruneCommand(stack, 'eu-west')).toMatch(
      /^kubectl apply -k charts-out\/eu-west --prune -l sluice\.dev\/region=sluice\.eu-west \\$/m
    )
    const environments = { staging: {} }
    expect(renderPruneCommand({ ...stack, environments }, 'staging/us')).toMatch(
      /^kubectl apply -k charts-out\/staging\/us --prune -l sluice\.dev\/region=sluice\.staging\.us /
    )
  })

  it('allows every kind that the stack makes, but never a namespace, a claim or a volume', () => {
    const kinds = ['eu-west', 'us'].flatMap((folder) => allowed(folder)).map((kind) => kind?.split('/').at(-1))
    const made = filesOf(stack).flatMap(({ objects }) => objects.map(({ kind }) => kind))
    const kept = ['Namespace', 'PersistentVolume', 'PersistentVolumeClaim']
    expect(made).toEqual(expect.arrayContaining(kept))
    for (const kind of made) expect(kinds.includes(kind), kind).toBe(!kept.includes(kind))
    expect(allowed('eu-west')).toContain('core/v1/Service')
    expect(allowed('us')).toContain('traefik.io/v1alpha1/ServersTransport')
  })

  it('names no kind of an API that only another region uses: kubectl errs on one that is not installed', () => {
    expect(allowed('eu-west').filter((kind) => kind?.includes('traefik'))).toEqual([])
  })

  it("leaves KEDA's autoscalers alone, which look as if they had been applied and were gone from the stack", () => {
    const autoscaler = 'autoscaling/v2/HorizontalPodAutoscaler'
    const scaled = stackOf({ regions: [watched({ placements: [placement({ autoscaling: { maxReplicas: 3 } })] })] })
    expect(allowed('eu-west', scaled)).toContain('keda.sh/v1alpha1/ScaledObject')
    expect(allowed('eu-west', scaled)).not.toContain(autoscaler)
    expect(allowed('eu-west')).toContain(autoscaler)
  })

  it('knows no region that the stack does not have', () => {
    expect(renderPruneCommand(stack, 'mars')).toBeUndefined()
  })
})

describe('npm run prune', () => {
  it.each([[[]], [['mars']], [['eu-west', 'us-east']]])('wants one region that there is, not %j', (args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toBe('name one folder of charts-out/: npm run -s prune -- eu-west | us-east\n')
  })
})
