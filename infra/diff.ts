// `npm run diff`: what a fresh synth of the stack changes, against what is committed or against what a cluster runs.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { synthesize } from './main.ts'
import { StackError, type StackInput } from './schema.ts'
import { stack } from './stack.ts'

const USAGE = `npm run diff [-- FOLDER…]                    a fresh synth against the commit that is checked out
npm run diff -- --live [--context NAME] FOLDER   one region against the cluster, by kubectl diff
FOLDER is a folder of charts-out/: eu-west, or staging/eu-west. Exit code 0: equal, 1: different, 2 and more: an error.`

/** A mistake of the caller, explained in one line. */
class Explained extends Error {}

/** What to compare; the fields are those of the command line. */
export interface DiffOptions {
  /** Folders of the output, as `eu-west`; none means everything. */
  readonly folders: readonly string[]
  /** Compares with a cluster through kubectl. */
  readonly live: boolean
  /** kubectl's context. @default the current one */
  readonly context?: string
  /** The repository's own folder. */
  readonly root: string
}

/**
 * Prints the difference and returns the exit code of `diff`: 0 equal, 1 different, more for an error.
 * @throws StackError of a stack that is refused
 */
export function diff(input: StackInput, options: DiffOptions): number {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-diff-'))
  try {
    synthesize(input, join(directory, 'synth'))
    return options.live ? diffLive(directory, options) : diffCommitted(directory, options)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Two folders and git's own diff of them: one that people read, with colours and a pager as they are used to. */
function diffCommitted(directory: string, { root, folders }: DiffOptions): number {
  mkdirSync(join(directory, 'committed'))
  const archive = spawnSync('git', ['archive', 'HEAD:charts-out'], { cwd: root, maxBuffer: 1 << 30 })
  if (archive.status !== 0) throw new Explained(`no charts-out/ in the commit that is checked out: ${archive.stderr}`)
  execFileSync('tar', ['-x', '-C', join(directory, 'committed')], { input: archive.stdout })
  const command = ['diff', '--no-index', '--no-prefix']
  if (folders.length === 0) return runIn(directory, 'git', [...command, 'committed', 'synth'])
  return Math.max(...folders.map((folder) => diffFolder(directory, folder, command)))
}

function diffFolder(directory: string, folder: string, command: readonly string[]): number {
  const sides = ['committed', 'synth'].map((side) => join(side, folder))
  // A region that comes or goes is on one side; a name that is on none is misspelt, and must not pass for equal.
  if (!sides.some((side) => existsSync(join(directory, side)))) {
    throw new Explained(`neither the stack nor the commit has ${folder}`)
  }
  for (const side of sides) mkdirSync(join(directory, side), { recursive: true })
  return runIn(directory, 'git', [...command, ...sides])
}

function diffLive(directory: string, { folders, context }: DiffOptions): number {
  const [folder, ...more] = folders
  if (folder === undefined || more.length > 0) throw new Explained('name one region: each has a cluster of its own')
  const path = join('synth', folder)
  if (!existsSync(join(directory, path))) throw new Explained(`the stack has no ${folder}`)
  return runIn(directory, 'kubectl', [
    ...(context === undefined ? [] : ['--context', context]),
    'diff',
    '--kustomize',
    path
  ])
}

function runIn(cwd: string, program: string, args: readonly string[]): number {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' })
  if (error !== undefined) throw new Explained(`${program} could not be run: ${error.message}`)
  return status ?? 2
}

function main(): number {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { live: { type: 'boolean', default: false }, context: { type: 'string' } }
    })
    const { live, context } = values
    const root = join(import.meta.dirname, '..')
    return diff(stack, { folders: positionals, live, root, ...(context === undefined ? {} : { context }) })
  } catch (error) {
    if (error instanceof StackError) console.error(error.problems.join('\n'))
    else if (error instanceof Explained) console.error(error.message)
    else if (error instanceof TypeError && 'code' in error) console.error(`${error.message}\n${USAGE}`)
    else throw error
    return 2
  }
}

if (import.meta.main) process.exitCode = main()
