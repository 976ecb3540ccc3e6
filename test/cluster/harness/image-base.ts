// Assembles the base image of gateway/Dockerfile from what is on this machine: Node, npm, a shell, and their libraries.
import { copyFileSync, cpSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findProgram } from '../../helpers/program.ts'
import { runProgram } from './shell.ts'

/** The name that the Dockerfiles know it by. */
export const BASE_IMAGE = 'docker.io/library/node:24-bookworm-slim'

/** The major that images of Node 24 bring. */
const NPM = 'npm@11.6.2'

/** What Dockerfiles and lifecycle hooks of the manifests call, npm's shell included. */
const PROGRAMS = ['sh', 'cat', 'env', 'id', 'ls', 'mkdir', 'rm', 'sleep']

/** Where certificates of a registry's proxy are, on Debian and those that follow it. */
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** The Node that runs this, and of what the base consists otherwise: a part of each image's cache key. */
export const BASE_KEY = `${process.version} ${NPM} ${PROGRAMS}`

async function copyWithLibraries(root: string, path: string, to: string): Promise<void> {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  copyFileSync(realpathSync(path), join(root, to))
  const libraries = (await runProgram(['ldd', path])).match(/\/\S+\.so\S*/g) ?? []
  for (const library of libraries) {
    // /lib is /usr/lib on a machine with a merged /usr, and here
    const target = join(root, library.replace(/^\/lib/, '/usr/lib'))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(realpathSync(library), target)
  }
}

/** Fills an empty folder with the root of the image. */
export async function assembleBase(root: string): Promise<void> {
  for (const folder of ['usr/bin', 'usr/lib64', 'usr/local/etc', 'etc', 'root', 'tmp', 'proc', 'sys', 'dev']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  await runProgram(['chmod', '1777', join(root, 'tmp')])
  for (const [link, target] of Object.entries({ bin: 'usr/bin', lib: 'usr/lib', lib64: 'usr/lib64' })) {
    symlinkSync(target, join(root, link))
  }
  await copyWithLibraries(root, process.execPath, 'usr/local/bin/node')
  for (const name of PROGRAMS) {
    const path = findProgram(`/usr/bin/${name}`, name)
    if (path === undefined) throw new Error(`no ${name} on this machine for the base image: install coreutils and dash`)
    await copyWithLibraries(root, path, `usr/bin/${name}`)
  }
  await runProgram([
    'npm',
    'install',
    '--global',
    '--no-audit',
    '--no-fund',
    `--prefix=${join(root, 'usr/local')}`,
    NPM
  ])
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n')
  cpSync(CERTIFICATES, join(root, CERTIFICATES), { dereference: true })
  writeFileSync(join(root, 'usr/local/etc/npmrc'), `cafile=${CERTIFICATES}\n`)
}
