// The kustomization of each region, and a real kustomize over it where there is one.
import { execFileSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KUSTOMIZATION_FILE, renderKustomizations } from '../../../infra/lib/kustomization.ts'
import { synthesize } from '../../../infra/main.ts'
import { stack } from '../../../infra/stack.ts'
import { findProgram, isMissing } from '../../helpers/program.ts'
import { inTemporaryDirectory, parseManifests, readObjects } from '../stacks.ts'

const KUSTOMIZE = findProgram('.cache/bin/kustomize', 'kustomize')

/** Kind and name of each object, in order. */
const namesOf = (text: string) => parseManifests(text).map(({ kind, metadata }) => `${kind} ${metadata.name}`)

describe('renderKustomizations', () => {
  it('lists the files of its folder and of no other, in the order they are given', () => {
    const files = ['a/00-namespace.yaml', 'a/b.yaml', 'a/c/d.yaml', 'ab/e.yaml'].map((file) => ({ file, text: '' }))
    const [kustomization, ...others] = renderKustomizations(files, ['a'])
    expect(others).toEqual([])
    expect(kustomization?.file).toBe('a/kustomization.yaml')
    expect(parseManifests(kustomization?.text ?? '')).toEqual([
      {
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: ['00-namespace.yaml', 'b.yaml'],
        sortOptions: { order: 'fifo' }
      }
    ])
  })

  it('is written into every folder of manifests, with every one of them', () => {
    inTemporaryDirectory((directory) => {
      const { files } = synthesize(stack, directory)
      const foldersOf = (name: string) => files.flatMap((file) => (basename(file) === name ? [dirname(file)] : []))
      expect(foldersOf(KUSTOMIZATION_FILE)).toEqual(foldersOf('00-namespace.yaml'))
      expect(foldersOf(KUSTOMIZATION_FILE).length).toBeGreaterThan(0)
    })
  })
})

describe.skipIf(
  isMissing(KUSTOMIZE, 'tests with a real kustomize', 'go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1')
)('kustomize', () => {
  it('builds each region: every object, unchanged, in the order of its files', () => {
    inTemporaryDirectory((directory) => {
      const { files } = synthesize(stack, directory)
      for (const file of files.filter((one) => basename(one) === KUSTOMIZATION_FILE)) {
        const folder = dirname(join(directory, file))
        const built = execFileSync(KUSTOMIZE ?? 'kustomize', ['build', folder], { encoding: 'utf8' })
        const written = globSync('*.yaml', { cwd: folder })
          .filter((name) => name !== KUSTOMIZATION_FILE)
          .sort()
          .flatMap((name) => readObjects(join(folder, name)))
        expect(written.length).toBeGreaterThan(10)
        expect(namesOf(built)).toEqual(written.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
        expect(parseManifests(built)).toEqual(written)
      }
    })
  })
})
