// An upgrade of Sluice changes no name and no immutable field of what the released version has applied.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findBreakingChanges, type Identities, identitiesOf } from './identity.ts'
import { RELEASED_STACK } from './released-stack.ts'
import { find, type Manifest, manifestsOf, region, stackOf } from './stacks.ts'

const released: Identities = JSON.parse(readFileSync(new URL('./released.json', import.meta.url), 'utf8'))
const REMEDY =
  'keep it, or release a major version: `npm run pin`, and a note in CHANGELOG.md on how to move a running region'

describe('an upgrade', () => {
  it('keeps every name, selector and immutable field of the released version', () => {
    expect(findBreakingChanges(released, identitiesOf(manifestsOf(RELEASED_STACK))), REMEDY).toEqual([])
  })

  it('is held against all of a region, and the GitOps objects', () => {
    const kinds = new Set(Object.keys(released).map((key) => key.split(' ')[0]))
    for (const kind of ['Namespace', 'Deployment', 'Service', 'PersistentVolumeClaim', 'PersistentVolume', 'Ingress']) {
      expect(kinds).toContain(kind)
    }
    expect(kinds).toContain('ApplicationSet')
    expect(released['Deployment sluice/gateway']).toHaveProperty(['spec.selector'])
  })

  it('rolls no pod when only the stack is renamed, and thereby every label of a region', () => {
    const templates = (name: string) =>
      manifestsOf(stackOf({ name }))
        .filter(({ kind }) => kind === 'Deployment')
        .map(({ spec }) => spec.template)
    expect(templates('another')).toEqual(templates('sluice'))
  })
})

describe('findBreakingChanges', () => {
  const before = manifestsOf(RELEASED_STACK)
  const changesOf = (change: (manifests: Manifest[]) => Manifest[] | undefined) => {
    const after = structuredClone(before)
    return findBreakingChanges(identitiesOf(before), identitiesOf(change(after) ?? after))
  }

  it.each<[string, (manifests: Manifest[]) => undefined | Manifest[], RegExp]>([
    [
      'a selector that holds the version',
      (all) => {
        find(
          all.filter(({ metadata }) => metadata.namespace === 'sluice'),
          'Deployment',
          'gateway'
        ).spec.selector.matchLabels.version = '2'
      },
      /^breaking change: Deployment sluice\/gateway has another spec\.selector/
    ],
    [
      'another name',
      (all) => {
        find(all, 'PersistentVolumeClaim', 'engine-qwen-cache').metadata.name = 'cache'
      },
      /^breaking change: PersistentVolumeClaim sluice\/engine-qwen-cache is gone or has another name/
    ],
    [
      'another namespace',
      (all) => {
        find(all, 'Deployment', 'engine-qwen').metadata.namespace = 'other'
      },
      /^breaking change: Deployment sluice\/engine-qwen is gone/
    ],
    [
      'another storage class of a claim',
      (all) => {
        find(all, 'PersistentVolumeClaim', 'engine-llama-cache').spec.storageClassName = 'fast'
      },
      /engine-llama-cache has another spec\.storageClassName/
    ],
    [
      'a Service that is no longer headless',
      (all) => {
        delete find(all, 'Service', 'engine-qwen').spec.clusterIP
      },
      /Service sluice\/engine-qwen has another spec\.clusterIP/
    ],
    ['an object that is gone', (all) => all.filter(({ kind }) => kind !== 'Ingress'), /Ingress/]
  ])('says what %s breaks', (_title, change, problem) => {
    const found = changesOf(change)
    expect(found.length).toBeGreaterThan(0)
    for (const one of found) expect(one).toMatch(problem)
  })

  it('lets a claim grow, a pod change, and an object appear', () => {
    expect(
      changesOf((all) => {
        find(all, 'PersistentVolumeClaim', 'engine-llama-cache').spec.resources.requests.storage = '900Gi'
        find(all, 'Deployment', 'engine-qwen').spec.template.spec.containers[0].image = 'vllm/vllm-openai:v0.32.0'
        return [...all, ...manifestsOf(stackOf({ regions: [region({ namespace: 'third' })] }))]
      })
    ).toEqual([])
  })
})
