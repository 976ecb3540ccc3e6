// `npm run diff` over a real repository, and what of it a reviewer reads.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { synthesize } from '../../infra/main.ts'
import type { StackInput } from '../../infra/schema.ts'
import { findProgram, isMissing } from '../helpers/program.ts'
import { inTemporaryDirectory, placement, region, stackOf } from './stacks.ts'

const GIT = findProgram('git')
const program = join(import.meta.dirname, '../../infra/diff.ts')
const two = stackOf({
  regions: [region({ placements: [placement({ replicas: 2 })] }), region({ name: 'us-east', namespace: 'us' })]
})

/** Runs `diff` of `stack` in a repository whose commit holds `committed`; a fake kubectl writes down its arguments. */
function runDiff(committed: StackInput | undefined, stack: StackInput, options: object = {}) {
  return inTemporaryDirectory((root) => {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, stdio: 'pipe' })
    const calls = join(root, 'calls')
    git('init', '-q')
    if (committed !== undefined) {
      synthesize(committed, join(root, 'charts-out'))
      git('add', '.')
      git('-c', 'user.name=a', '-c', 'user.email=a@b.c', '-c', 'commit.gpgsign=false', 'commit', '-qm', 'a')
    }
    mkdirSync(join(root, 'bin'))
    writeFileSync(join(root, 'bin/kubectl'), `#!/bin/sh\necho "$@" > ${calls}; ls synth/eu-west >> ${calls}; exit 1\n`)
    chmodSync(join(root, 'bin/kubectl'), 0o755)
    const script = `import { diff } from ${JSON.stringify(program)}
      process.exitCode = diff(${JSON.stringify(stack)}, ${JSON.stringify({ folders: [], live: false, root, ...options })})`
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}` }
    })
    return { status, stdout, stderr, calls: existsSync(calls) ? readFileSync(calls, 'utf8') : '' }
  })
}

const changedLines = (text: string) => text.split('\n').filter((line) => /^[+-](?![+-]{2} )/.test(line))

describe.skipIf(isMissing(GIT, 'tests of npm run diff', 'install git'))('npm run diff', { timeout: 30_000 }, () => {
  it('says nothing and ends with 0 when the commit is what the stack makes', () => {
    expect(runDiff(two, two)).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  it('shows one line for one more replica, with the file of the region and the model', () => {
    const more = { ...two, regions: [region({ placements: [placement({ replicas: 3 })] }), ...two.regions.slice(1)] }
    const { status, stdout } = runDiff(two, more)
    expect(status).toBe(1)
    expect(changedLines(stdout)).toEqual(['-  replicas: 2', '+  replicas: 3'])
    expect(stdout).toContain('+++ synth/eu-west/engine-llama.yaml')
  })

  it('shows a new region and one that is gone, and of one folder what is named', () => {
    const other = { ...two, regions: [...two.regions.slice(0, 1), region({ name: 'ap-south', namespace: 'ap' })] }
    const { stdout } = runDiff(two, other)
    expect(stdout).toMatch(/^\+\+\+ synth\/ap-south\/00-namespace\.yaml$/m)
    expect(stdout).toMatch(/^--- committed\/us-east\/00-namespace\.yaml$/m)
    const named = runDiff(two, other, { folders: ['ap-south'] })
    expect(named.status).toBe(1)
    expect(named.stdout).toMatch(/ap-south/)
    expect(named.stdout).not.toMatch(/us-east/)
  })

  it('takes no misspelt folder for one that is equal', () => {
    expect(runDiff(two, two, { folders: ['mars'] }).stderr).toMatch(/neither the stack nor the commit has mars/)
  })

  it('fails when the commit has no charts-out', () => {
    const { status, stderr } = runDiff(undefined, two)
    expect(status).toBe(1)
    expect(stderr).toMatch(/no charts-out\/ in the commit/)
  })

  it('asks the cluster of one region through kubectl diff, and gives its exit code', () => {
    const { status, calls } = runDiff(two, two, { live: true, folders: ['eu-west'], context: 'eu' })
    expect(status).toBe(1)
    expect(calls.split('\n')[0]).toBe('--context eu diff --kustomize synth/eu-west')
    expect(calls).toMatch(/^kustomization\.yaml$/m)
  })

  it('refuses to compare several regions, none, or one that is not there with a cluster', () => {
    for (const folders of [[], ['eu-west', 'us-east']]) {
      expect(runDiff(two, two, { live: true, folders }).stderr).toMatch(/name one region/)
    }
    expect(runDiff(two, two, { live: true, folders: ['mars'] }).stderr).toMatch(/the stack has no mars/)
  })
})
