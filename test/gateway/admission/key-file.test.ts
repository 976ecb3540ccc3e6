// A file of keys that is replaced while it is followed.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { followKeyFile } from '../../../gateway/admission/key-file.ts'
import { createKeys } from '../../../gateway/admission/keys.ts'
import { loadKeyFile, loadKeyFileInSlices } from '../../../gateway/config.ts'
import type { KeyFile } from '../../../gateway/key-schema.ts'
import { KEY_FILE, until } from '../../helpers/gateway.ts'

const EVERY_MS = 5
const fileOf = (id: string) => JSON.stringify({ ...KEY_FILE, keys: [{ ...KEY_FILE.keys[0], id }] })

let folder = ''
let path = ''
const told: string[] = []
const stops: (() => void)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-keys-'))
  path = join(folder, 'keys.json')
})
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
  told.length = 0
  rmSync(folder, { recursive: true })
})

const follow = () =>
  stops.push(
    followKeyFile(path, EVERY_MS, {
      load: loadKeyFileInSlices,
      onKeys: async ({ keys }) => void told.push(`keys ${keys.map(({ id }) => id)}`),
      onRefused: ({ message }) => told.push(`refused ${message}`)
    })
  )
const untilTold = (count: number) => until(`${count} were told`, () => told.length >= count)
/** Puts a file there in one step: a look comes before it or after it, never between. */
function put(text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
/** Three were told; a file that took its place between a look and its reading is read once more, and told of once more. */
function expectTold(...three: unknown[]): void {
  expect(told.slice(0, 3)).toEqual(three)
  expect(told.slice(3)).toEqual(told.slice(3, 4).map(() => three[2]))
}
/** Long enough for several looks. */
const afterSomeLooks = () => sleep(20 * EVERY_MS)

/** Mounts a version as kubelet does: the file is a link through `..data`, which is turned in one step. */
function mount(version: string): void {
  mkdirSync(join(folder, `..${version}`))
  writeFileSync(join(folder, `..${version}`, 'keys.json'), fileOf(version))
  turn(version)
}

function turn(version: string): void {
  symlinkSync(`..${version}`, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}

async function followMounted(version: string): Promise<void> {
  mount(version)
  symlinkSync(join('..data', 'keys.json'), path)
  follow()
  await untilTold(1)
}

describe('a key file', () => {
  it('is read once more when it begins to be followed, and never again while it stays as it is', async () => {
    writeFileSync(path, fileOf('a'))
    follow()
    await untilTold(1)
    await afterSomeLooks()
    expect(told).toEqual(['keys a'])
  })

  it('is read when it is written, and when another one takes its place', async () => {
    writeFileSync(path, fileOf('a'))
    follow()
    await untilTold(1)
    writeFileSync(path, fileOf('bb'))
    await until('the second is told', () => told.includes('keys bb'))
    writeFileSync(`${path}.new`, fileOf('cc'))
    renameSync(`${path}.new`, path)
    await until('the third is told', () => told.includes('keys cc'))
    // a look may come between the two steps in which a file is written, and is followed by another one
    expect([...new Set(told)]).toEqual(['keys a', 'keys bb', 'keys cc'])
  })

  it('of a mounted Secret is read when kubelet turns the link', async () => {
    await followMounted('one')
    mount('two')
    await untilTold(2)
    expect(told).toEqual(['keys one', 'keys two'])
  })

  it.each([
    ['is no JSON', '{"salt":', 'valid JSON'],
    ['lacks its salt', '{"keys":[]}', 'salt'],
    ['has a field that nobody knows', JSON.stringify({ ...KEY_FILE, more: 1 }), 'more']
  ])('that %s is refused once, and read when it is mended', async (_what, text, says) => {
    writeFileSync(path, fileOf('a'))
    follow()
    await untilTold(1)
    put(text)
    await untilTold(2)
    await afterSomeLooks()
    put(fileOf('a'))
    await untilTold(3)
    expectTold('keys a', expect.stringContaining(says), 'keys a')
    expect(told[1]).toContain(path)
  })

  it('that goes away is told of once, and read when it is back', async () => {
    writeFileSync(path, fileOf('a'))
    follow()
    await untilTold(1)
    rmSync(path)
    await untilTold(2)
    await afterSomeLooks()
    put(fileOf('a'))
    await untilTold(3)
    expectTold('keys a', expect.stringContaining('ENOENT'), 'keys a')
  })

  it('that was read before is read again when a link is turned back to it from one that is refused', async () => {
    await followMounted('one')
    turn('nothing')
    await untilTold(2)
    turn('one')
    await untilTold(3)
    await afterSomeLooks()
    expectTold('keys one', expect.stringContaining('ENOENT'), 'keys one')
  })

  it('is left alone once nobody follows it', async () => {
    writeFileSync(path, fileOf('a'))
    follow()
    await untilTold(1)
    for (const stop of stops.splice(0)) stop()
    writeFileSync(path, fileOf('b'))
    await afterSomeLooks()
    expect(told).toEqual(['keys a'])
  })

  it.each([
    ['taken', (read: PromiseWithResolvers<KeyFile>) => read.resolve(KEY_FILE)],
    ['refused', (read: PromiseWithResolvers<KeyFile>) => read.reject(new Error('broken'))]
  ])('is neither %s nor looked at again when it was still being read as that ended', async (_what, finish) => {
    writeFileSync(path, fileOf('a'))
    const [reading, read] = [Promise.withResolvers<void>(), Promise.withResolvers<KeyFile>()]
    const load = () => {
      told.push('read')
      reading.resolve()
      return read.promise
    }
    const tell = (what: string) => void told.push(what)
    const stop = followKeyFile(path, EVERY_MS, { load, onKeys: async () => tell('keys'), onRefused: () => tell('no') })
    await reading.promise
    stop()
    finish(read)
    await afterSomeLooks()
    writeFileSync(path, fileOf('bb'))
    await afterSomeLooks()
    expect(told).toEqual(['read'])
  })
})

describe('a key file of very many keys', () => {
  const hash = '0'.repeat(64)
  const write = (change: (keys: unknown[]) => void = () => {}) => {
    const keys: unknown[] = Array.from({ length: 9_000 }, (_, i) => ({ id: `key-${i}`, hash, models: ['b', 'a'] }))
    change(keys)
    writeFileSync(path, JSON.stringify({ ...KEY_FILE, keys }))
  }

  it('is read as one of few is', async () => {
    write()
    expect(await loadKeyFileInSlices(path)).toEqual(loadKeyFile(path))
  })

  it.each([
    ['a mistake in a late key', (keys: unknown[]) => keys.splice(7_777, 1, { id: 'a', hash: 'no' })],
    ['a key that is none', (keys: unknown[]) => keys.splice(8_000, 1, null)],
    ['two keys of one name, far apart', (keys: unknown[]) => keys.push({ id: 'key-0', hash })],
    [
      'more keys than it may have',
      (keys: unknown[]) => keys.push(...Array.from({ length: 92_000 }, (_, i) => ({ id: `x-${i}`, hash })))
    ]
  ])('and %s is refused with the same words', async (_what, change) => {
    write(change)
    let words = ''
    try {
      loadKeyFile(path)
    } catch (cause) {
      words = String(cause)
    }
    expect(words).toContain('keys')
    await expect(loadKeyFileInSlices(path)).rejects.toThrow(words.replace('ConfigError: ', ''))
  })

  it('lets others have their turns while it is read and taken', async () => {
    write()
    const ring = createKeys({ ...KEY_FILE, keys: [] })
    let turns = 0
    const count = () => {
      turns++
      again = setImmediate(count)
    }
    let again = setImmediate(count)
    const file = await loadKeyFileInSlices(path)
    const turnsOfReading = turns
    await ring.replace(file)
    clearImmediate(again)
    expect(turnsOfReading).toBeGreaterThanOrEqual(4)
    expect(turns - turnsOfReading).toBeGreaterThanOrEqual(4)
  })
})
