// The cgroup that a node's pods are below: made in each hierarchy of the machine, and removed with all that is in it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { entrust } from './caretaker.ts'

const ROOT = '/sys/fs/cgroup'

/** Each hierarchy that is mounted; beside those of v1 there may be an empty one of v2, in which runc makes groups too. */
function hierarchies(): string[] {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return [ROOT]
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  return mounts
    .map((line) => line.split(' '))
    .flatMap(([, path, type]) => (type?.startsWith('cgroup') && path ? [path] : []))
}

/** The cgroup of a node. */
export interface Group {
  /** As kubelet wants it: from the root of each hierarchy. */
  readonly path: string
  /** Removes it, once its processes are gone. */
  release(): Promise<void>
}

/** Makes the group of a node; the caretaker removes it where this process can't. */
export function claimGroup(node: string): Group {
  const path = `/sluice-test-${process.pid}-${node}`
  const dismiss = entrust({ run: [process.execPath, import.meta.filename, path] })
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, path), { recursive: true })
  return { path, release: () => removeGroup(path).then(dismiss) }
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

async function removeGroup(group: string): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (
      hierarchies()
        .map((hierarchy) => removeTree(join(hierarchy, group)))
        .every(Boolean)
    )
      return
    await sleep(100)
  }
  throw new Error(`the cgroup ${group} still has processes a minute after its node was killed`)
}

if (import.meta.main) await removeGroup(process.argv[2] ?? '')
