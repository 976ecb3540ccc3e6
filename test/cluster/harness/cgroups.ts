// The cgroup that a node's pods are below: made in each hierarchy of the machine, and removed with all that is in it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const ROOT = '/sys/fs/cgroup'
/** Also how a later run knows which process a group belonged to. */
const PREFIX = 'sluice-test-'

/** Each v1 hierarchy that is mounted, or the one of v2. */
function hierarchies(): string[] {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return [ROOT]
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  return mounts.map((line) => line.split(' ')).flatMap(([, path, type]) => (type === 'cgroup' && path ? [path] : []))
}

/** Makes the group of a node. @returns its path as kubelet wants it */
export function claimGroup(node: string): string {
  const group = `${PREFIX}${process.pid}-${node}`
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, group), { recursive: true })
  return `/${group}`
}

function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true
  const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const isEmpty = inner.map((entry) => removeTree(join(folder, entry.name))).every(Boolean)
  try {
    if (isEmpty) rmdirSync(folder)
    return isEmpty
  } catch {
    // a process that was killed is in it for a moment longer
    return false
  }
}

/** Removes a group and those below it, as soon as their processes are gone. */
export async function releaseGroup(group: string): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    if (hierarchies().map((hierarchy) => removeTree(join(hierarchy, group))).every(Boolean)) return
    await sleep(100)
  }
  throw new Error(`the cgroup ${group} still has processes 10 s after its node was killed`)
}

/** Removes the groups of tests that were killed before they could. */
export async function sweepGroups(): Promise<void> {
  const names = new Set(hierarchies().flatMap((hierarchy) => readdirSync(hierarchy)))
  for (const name of names) {
    const owner = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await releaseGroup(`/${name}`)
  }
}
