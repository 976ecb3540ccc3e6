// The objects for Argo CD and Flux, held against the folders that the same synth writes.
import { describe, expect, it } from 'vitest'
import { KUSTOMIZATION_FILE } from '../../../infra/lib/kustomization.ts'
import { synthesize } from '../../../infra/main.ts'
import { parseEnvironments, type StackError, type StackInput } from '../../../infra/schema.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { filesOf, inTemporaryDirectory, region, stackOf, synthesizedFiles } from '../stacks.ts'

type Gitops = NonNullable<StackInput['gitops']>

const gitops: Gitops = { kind: 'both', repoURL: 'https://git.example.com/llm.git' }
const regions = [region(), region({ name: 'us-east', namespace: 'us' })]
const withGitops = (changes: Partial<Gitops> = {}, more: Partial<StackInput> = {}) =>
  stackOf({ regions, gitops: { ...gitops, ...changes }, ...more })
const objectsOf = (stack: StackInput, folder: string) =>
  filesOf(stack).flatMap(({ file, objects }) => (file.startsWith(`gitops/${folder}`) ? objects : []))

const environments: StackInput['environments'] = {
  production: { gitops: { revision: { tag: 'v1.2.0' } } },
  staging: {
    regions: [
      { name: 'eu-west', namespace: 'staging', ingress: { host: 'staging.example.com' } },
      { name: 'us-east', omit: true }
    ]
  }
}

describe('GitopsDelivery', () => {
  it('makes nothing for a stack that does not ask for it', () => {
    expect(filesOf(stackOf()).filter(({ file }) => file.startsWith('gitops'))).toEqual([])
  })

  it('gives Argo CD one set of all regions, each with its folder and its cluster', () => {
    const [set, ...others] = objectsOf(withGitops({ argocd: { clusters: { 'us-east': 'hub' } } }), 'argocd')
    expect(others).toEqual([])
    expect(set.metadata).toMatchObject({ name: 'sluice', namespace: 'argocd' })
    expect(set.spec.generators[0].list.elements).toEqual([
      {
        name: 'sluice-eu-west',
        region: 'eu-west',
        path: 'charts-out/eu-west',
        cluster: 'eu-west',
        namespace: 'sluice'
      },
      { name: 'sluice-us-east', region: 'us-east', path: 'charts-out/us-east', cluster: 'hub', namespace: 'us' }
    ])
    expect(set.spec.template.spec.source).toEqual({
      repoURL: gitops.repoURL,
      targetRevision: 'main',
      path: '{{.path}}'
    })
    expect(set.spec.template.spec.syncPolicy.automated).toEqual({ prune: true, selfHeal: true })
    expect(set.spec.syncPolicy.preserveResourcesOnDeletion).toBe(true)
  })

  it('gives each region of Flux a file of its own, with a source and what is applied of it', () => {
    const files = filesOf(withGitops({ revision: { commit: 'a'.repeat(40) }, flux: { secretName: 'deploy-key' } }))
    const flux = files.filter(({ file }) => file.startsWith('gitops/flux/'))
    expect(flux.map(({ file }) => file)).toEqual(['gitops/flux/eu-west.yaml', 'gitops/flux/us-east.yaml'])
    const [source, kustomization] = flux[0]?.objects ?? []
    expect(source.spec).toMatchObject({ url: gitops.repoURL, ref: { commit: 'a'.repeat(40) } })
    expect(source.spec.secretRef).toEqual({ name: 'deploy-key' })
    expect(kustomization.spec).toMatchObject({ path: './charts-out/eu-west', prune: true, wait: false })
    expect(kustomization.spec.sourceRef).toEqual({ kind: 'GitRepository', name: source.metadata.name })
  })

  it('makes the objects of one controller where the stack has one', () => {
    const foldersOf = (kind: Gitops['kind']) => [
      ...new Set(filesOf(withGitops({ kind })).map(({ file }) => file.split('/').slice(0, 2).join('/')))
    ]
    expect(foldersOf('argocd').filter((folder) => folder.startsWith('gitops'))).toEqual(['gitops/argocd'])
    expect(foldersOf('flux').filter((folder) => folder.startsWith('gitops'))).toEqual(['gitops/flux'])
  })

  it('names no folder that the synth does not write, with environments and without', () => {
    for (const stack of [withGitops(), withGitops({}, { environments })]) {
      const written = inTemporaryDirectory((directory) => synthesizedFiles(stack, directory))
      const elements = objectsOf(stack, 'argocd').flatMap((set) => set.spec.generators[0].list.elements)
      const kustomizations = objectsOf(stack, 'flux').filter(({ kind }) => kind === 'Kustomization')
      const paths = [...elements.map(({ path }) => path), ...kustomizations.map(({ spec }) => spec.path.slice(2))]
      expect(paths.length).toBeGreaterThan(3)
      for (const path of paths) {
        expect(written).toContain(`${path.replace('charts-out/', '')}/${KUSTOMIZATION_FILE}`)
      }
    }
  })

  it('lets each environment follow a revision of its own', () => {
    const sets = objectsOf(withGitops({ revision: { branch: 'main' } }, { environments }), 'argocd')
    expect(sets.map((set) => [set.metadata.name, set.spec.template.spec.source.targetRevision])).toEqual([
      ['sluice-production', 'v1.2.0'],
      ['sluice-staging', 'main']
    ])
  })

  it('says what Argo CD has to be told, where there is one', () => {
    const noticesOf = (kind: Gitops['kind']) =>
      inTemporaryDirectory((directory) => synthesize(withGitops({ kind }), directory).notices.join('\n'))
    expect(noticesOf('both')).toMatch(/^argocd: .*resourceTrackingMethod/m)
    expect(noticesOf('flux')).not.toMatch(/argocd/)
  })

  it('passes strict schema validation', async () => {
    const objects = objectsOf(withGitops({ flux: { secretName: 'deploy-key' } }, { environments }), '')
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(
      new Set(['ApplicationSet', 'GitRepository', 'Kustomization'])
    )
    for (const object of objects) expect(await findSchemaProblems(object), object.kind).toEqual([])
  })

  it.each<[string, Partial<Gitops>, RegExp]>([
    ['a URL that is none', { repoURL: 'llm.git' }, /^gitops\.repoURL: use the URL of a repository/],
    ['a short URL for Flux', { repoURL: 'git@git.example.com:llm.git' }, /^gitops\.repoURL: Flux takes https/],
    [
      'a cluster of no region',
      { argocd: { clusters: { mars: 'x' } } },
      /^gitops\.argocd\.clusters\.mars: there is no such region; the stack has eu-west, us-east/
    ],
    ['a path out of the repository', { path: '../x' }, /^gitops\.path: use a folder/]
  ])('refuses %s', (_title, changes, problem) => {
    try {
      parseEnvironments(withGitops(changes))
      expect.unreachable()
    } catch (error) {
      expect((error as StackError).problems).toEqual([expect.stringMatching(problem)])
    }
  })
})
