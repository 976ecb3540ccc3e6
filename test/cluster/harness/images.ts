// Images without a registry: built by buildah, kept as archives in the cache by what they are made of.
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join, relative } from 'node:path'
import { findProgram } from '../../helpers/program.ts'
import { assembleBase, BASE_IMAGE, BASE_KEY } from './image-base.ts'
import { buildProgram, CACHE } from './programs.ts'
import { runProgram } from './shell.ts'

export const PAUSE_IMAGE = 'registry.k8s.io/pause:3.10'

export const REPOSITORY = join(import.meta.dirname, '..', '..', '..')
const FOLDER = join(CACHE, 'images')

/** Runs buildah with a store of our own. What it mounts is seen by it alone, so that nothing stays mounted after it. */
const buildah = (...args: string[]) => {
  const store = ['--root', join(FOLDER, 'store'), '--runroot', join(FOLDER, 'run'), '--storage-driver', 'overlay']
  return runProgram(['unshare', '--mount', 'buildah', ...store, ...args])
}

/** Every file at or below `paths`, which are relative to `root`. */
function filesBelow(root: string, paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const whole = join(root, path)
    if (!statSync(whole).isDirectory()) return [whole]
    const inner = readdirSync(whole, { withFileTypes: true, recursive: true })
    return inner.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  })
}

function keyOf(parts: readonly string[], files: readonly string[]): string {
  const hash = createHash('sha256').update(parts.join('\n'))
  for (const file of [...files].sort()) hash.update(relative(REPOSITORY, file)).update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}

/** Archives of what has changed since are of no more use, nor what a run that was killed has begun: both go after so long. */
const KEPT_MS = 24 * 3_600_000

function pruneArchives(): void {
  for (const name of readdirSync(FOLDER).filter((entry) => /\.tar$|^(building|base|program)-/.test(entry))) {
    const path = join(FOLDER, name)
    if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { recursive: true, force: true })
  }
}

/**
 * Hands out the archive of `image` for a key. Where there is none, `build` makes the image first, under a tag that no run
 * beside this one has, if it builds from other sources.
 */
async function archiveOf(image: string, key: string, build: (tag: string) => Promise<void>): Promise<string> {
  const archive = join(FOLDER, `${image.replace(/[^a-z0-9.]+/gi, '-')}-${key}.tar`)
  if (existsSync(archive)) {
    const now = new Date()
    utimesSync(archive, now, now)
    return archive
  }
  process.stderr.write(`cluster: building image ${image}\n`)
  mkdirSync(FOLDER, { recursive: true })
  pruneArchives()
  const building = mkdtempSync(join(FOLDER, 'building-'))
  try {
    const tag = `localhost/sluice:${key}`
    await build(tag)
    await buildah('push', '--quiet', tag, `docker-archive:${join(building, 'image.tar')}:${image}`)
    renameSync(join(building, 'image.tar'), archive)
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
  return archive
}

/** Makes sure that the store has the base image; a Dockerfile finds it there by its name. */
async function provideBase(): Promise<void> {
  const tag = `${BASE_IMAGE}-${createHash('sha256').update(BASE_KEY).digest('hex').slice(0, 8)}`
  const isThere = await buildah('inspect', '--type', 'image', tag).catch(() => '')
  if (isThere === '') {
    const root = mkdtempSync(join(FOLDER, 'base-'))
    try {
      await assembleBase(root)
      const container = (await buildah('from', 'scratch')).trim()
      await buildah('copy', '--quiet', container, root, '/')
      await buildah('config', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', container)
      await buildah('commit', '--quiet', '--rm', container, tag)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }
  await buildah('tag', tag, BASE_IMAGE)
}

async function buildDockerfile(tag: string, dockerfile: string, ignoreFile: string): Promise<void> {
  await provideBase()
  const where = ['--file', join(REPOSITORY, dockerfile), '--ignorefile', ignoreFile, REPOSITORY]
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers', '--quiet']
  await buildah('build', ...how, '--tag', tag, ...where)
}

const sources = () => filesBelow(REPOSITORY, ['package.json', 'package-lock.json', 'gateway'])

/** The gateway's image, by its own Dockerfile. */
export function gatewayImage(image: string): Promise<string> {
  const ignoreFile = join(REPOSITORY, '.dockerignore')
  const key = keyOf([BASE_KEY], [...sources(), ignoreFile])
  return archiveOf(image, key, (tag) => buildDockerfile(tag, 'gateway/Dockerfile', ignoreFile))
}

/** An image whose `vllm` is the simulator. */
export function engineImage(image: string): Promise<string> {
  const own = ['engine.Dockerfile', 'vllm'].map((name) => join(REPOSITORY, 'test/cluster/images', name))
  const build = (tag: string) => buildDockerfile(tag, 'test/cluster/images/engine.Dockerfile', '/dev/null')
  return archiveOf(image, keyOf([BASE_KEY], [...sources(), ...own]), build)
}

/** An image of one static program and nothing else. */
async function programImage(image: string, path: string, args: readonly string[] = []): Promise<string> {
  return archiveOf(image, keyOf([path, ...args], path.startsWith(CACHE) ? [] : [path]), async (tag) => {
    const context = mkdtempSync(join(FOLDER, 'program-'))
    try {
      copyFileSync(path, join(context, 'program'))
      const lines = ['FROM scratch', 'COPY program /program', `ENTRYPOINT ${JSON.stringify(['/program', ...args])}`]
      writeFileSync(join(context, 'Dockerfile'), lines.join('\n'))
      await buildah('build', '--quiet', '--tag', tag, context)
    } finally {
      rmSync(context, { recursive: true, force: true })
    }
  })
}

/** An image of a program of `programs/`. */
export const builtImage = async (image: string, module: string, name: string): Promise<string> =>
  programImage(image, await buildProgram(module, name))

/** What holds a pod's namespaces. */
export async function pauseImage(): Promise<string> {
  const path = findProgram('catatonit', '/usr/libexec/podman/catatonit')
  if (path === undefined) throw new Error('no catatonit on this machine: apt-get install catatonit')
  return programImage(PAUSE_IMAGE, path, ['-P'])
}
