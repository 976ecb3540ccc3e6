// Removes what runs that were killed left of their nodes: folders and cgroups, and only of processes that are gone.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sweepGroups } from './cgroups.ts'

const OWNER = 'owner.pid'

/** Notes in a workshop's folder whose it is. */
export const markFolder = (folder: string): void => writeFileSync(join(folder, OWNER), `${process.pid}`)

/** Their processes, mounts and wires went with the namespaces; this is the rest. */
export async function sweep(): Promise<void> {
  await sweepGroups()
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith('sluice-cluster-'))) {
    const mark = join(tmpdir(), name, OWNER)
    if (existsSync(mark) && !existsSync(`/proc/${readFileSync(mark, 'utf8')}`)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    }
  }
}
