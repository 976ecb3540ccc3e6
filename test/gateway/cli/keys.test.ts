// The command that makes API keys and takes them out, as an operator runs it.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKeys } from '../../../gateway/admission/keys.ts'
import { loadKeyFile } from '../../../gateway/config.ts'

const SCRIPT = join(import.meta.dirname, '../../../gateway/cli/keys.ts')

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-cli-keys-'))
  file = join(folder, 'keys.json')
})
afterEach(() => rmSync(folder, { recursive: true }))

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args, '--file', file], {
    encoding: 'utf8'
  })
  return { status, stdout, stderr }
}
const ids = () => loadKeyFile(file).keys.map(({ id }) => id)

describe('npm run keys', () => {
  it('prints a key that the file lets in, with its rights, and stores no key', () => {
    const key = run('team-a', '--max-output-tokens', '50', '--models', 'a,b').stdout.trim()
    expect(key).toMatch(/^sk-[\w-]{43}$/)
    expect(createKeys(loadKeyFile(file)).authenticate(`Bearer ${key}`)).toEqual({
      keyId: 'team-a',
      maxOutputTokens: 50,
      models: ['a', 'b']
    })
    expect(readFileSync(file, 'utf8')).not.toContain(key)
    expect(statSync(file).mode & 0o077).toBe(0)
  })

  it('adds beside the keys before, and takes out the one that is named', () => {
    const keys = ['a', 'b', 'c'].map((id) => run(id).stdout.trim())
    expect(run('b', '--remove')).toMatchObject({ status: 0, stdout: '' })
    expect(ids()).toEqual(['a', 'c'])
    const ring = createKeys(loadKeyFile(file))
    expect(ring.authenticate(`Bearer ${keys[2]}`).keyId).toBe('c')
    expect(() => ring.authenticate(`Bearer ${keys[1]}`)).toThrow()
    expect(readdirSync(folder)).toEqual(['keys.json'])
  })

  it('takes a key out of the file that a link leads to, which stays readable for whom it was', () => {
    for (const id of ['a', 'b']) run(id)
    const real = join(folder, 'real.json')
    renameSync(file, real)
    chmodSync(real, 0o640)
    symlinkSync('real.json', file)
    expect(run('b', '--remove').status).toBe(0)
    expect(loadKeyFile(real).keys.map(({ id }) => id)).toEqual(['a'])
    expect(lstatSync(file).isSymbolicLink()).toBe(true)
    expect(statSync(real).mode & 0o777).toBe(0o640)
  })

  it.skipIf(process.getuid?.() !== 0)('leaves a file to its owner when root changes it', () => {
    run('a')
    chownSync(file, 1234, 2345)
    run('b')
    expect(ids()).toEqual(['a', 'b'])
    expect(statSync(file)).toMatchObject({ uid: 1234, gid: 2345 })
  })

  it.each([
    ['a name that is there', ['a'], /has a key named a already/],
    ['a name with a space', ['a b'], /keys\[1\]\.id: use letters, digits/],
    ['no number of tokens', ['b', '--max-output-tokens', 'abc'], /--max-output-tokens: "abc" is no number of tokens/],
    ['no tokens at all', ['b', '--max-output-tokens', '0'], /--max-output-tokens: "0"/],
    ['an empty model', ['b', '--models', 'a,,b'], /keys\[1\]\.models\[1\]/],
    ['the removal of a name that is not there', ['b', '--remove'], /has no key named b/],
    ['a removal with rights', ['a', '--remove', '--models', 'm'], /--remove takes a key out as it is/],
    ['an unknown option', ['b', '--role', 'admin'], /--role/]
  ])('refuses %s, and leaves the file as it was', (_what, args, says) => {
    run('a')
    const before = readFileSync(file, 'utf8')
    const { status, stdout, stderr } = run(...args)
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(says)
    expect(readFileSync(file, 'utf8')).toBe(before)
  })

  it.each([
    ['{"keys": 3}', /keys: Invalid input/],
    ['{"keys": [}', /not valid JSON: .* at position 10 \(line 1 column 11\); nothing was changed/]
  ])('refuses the file %s, and leaves it as it was', (content, says) => {
    writeFileSync(file, content)
    expect(run('a')).toMatchObject({ status: 1, stderr: expect.stringMatching(says) })
    expect(run('a').stderr).toContain(file)
    expect(readFileSync(file, 'utf8')).toBe(content)
  })

  it('says of a file that it may not read why', () => {
    mkdirSync(file)
    expect(run('a')).toMatchObject({ status: 1, stderr: expect.stringMatching(/cannot be read: EISDIR/) })
  })
})
