// Reads the modules of the library from infra/: what package.json exports and the reference describes.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Declaration, readDeclarations } from './declarations.ts'
import type { Module } from './reference.ts'

const INFRA = join(import.meta.dirname, '../../infra')

/** Every module of the library: constructs, charts, and of lib what their signatures name. */
export function readModules(): Module[] {
  const modules = ['constructs', 'charts'].flatMap(readFolder)
  return [...modules, ...pickNamed(readFolder('lib'), modules)]
}

/** The declarations of `modules` that signatures of `users`, or of each other, name. */
function pickNamed(modules: readonly Module[], users: readonly Module[]): Module[] {
  const isNamed = ({ name }: Declaration, by: readonly Module[]) =>
    by.some(({ declarations }) =>
      declarations.some((one) =>
        [...one.bases, ...one.members.map(({ signature }) => signature)].some((type) =>
          new RegExp(`\\b${name}\\b`).test(type)
        )
      )
    )
  const all = [...users, ...modules]
  return modules.map((module) => ({
    ...module,
    declarations: module.declarations.filter((one) => isNamed(one, all))
  }))
}

/** Every module of a folder of infra/, sorted by name. */
function readFolder(folder: string): Module[] {
  return globSync(`${folder}/**/*.ts`, { cwd: INFRA })
    .map((file) => file.replaceAll('\\', '/'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(INFRA, file), 'utf8')
      const name = file.replace(/\.ts$/, '')
      return {
        name,
        purpose: (text.split('\n')[0] ?? '').replace(/^\/\/ /, ''),
        declarations: readDeclarations(text, name)
      }
    })
}
