// Finds the programs that a tier needs beyond Node; a missing one skips its tests in one line, or fails them where CI=true.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const PLACES = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

/** The path of the first candidate that can be run; undefined without one. `candidates` are names or paths. */
export function findProgram(...candidates: string[]): string | undefined {
  const paths = candidates.flatMap((name) => (name.includes('/') ? [name] : PLACES.map((place) => join(place, name))))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * Whether the tests that need `program` must be skipped: true says so in one line. Where CI=true nothing is skipped, so
 * a program that is not there fails its tests.
 */
export function isMissing(program: string | undefined, what: string, remedy: string): boolean {
  if (program !== undefined || process.env.CI === 'true') return false
  process.stderr.write(`skipped: ${what}; ${remedy}\n`)
  return true
}
