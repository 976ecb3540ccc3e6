// What /proc tells: CPU time and memory of a process tree, the limit of open files, and what machine this is.
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'

/** Beyond this nothing here needs file descriptors, however many the machine allows. */
const MOST_FILES = 65_536

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // the process or thread ended between two looks
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** The process and all that descend from it. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const entry of list('/proc').filter((name) => /^\d+$/.test(name))) {
    // the second field is the command in parentheses, which may itself hold spaces and parentheses
    const parent = Number(read(`/proc/${entry}/stat`).split(') ').at(-1)?.split(' ')[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const tree = [pid]
  for (const member of tree) tree.push(...(children.get(member) ?? []))
  return tree
}

/** Nanoseconds that the threads of these processes have been on a CPU, and that they waited for one. */
export function cpuOf(pids: readonly number[]): { readonly onNs: number; readonly waitedNs: number } {
  let [onNs, waitedNs] = [0, 0]
  for (const pid of pids) {
    for (const task of list(`/proc/${pid}/task`)) {
      const [on = 0, waited = 0] = read(`/proc/${pid}/task/${task}/schedstat`).split(' ').map(Number)
      onNs += on
      waitedNs += waited
    }
  }
  return { onNs, waitedNs }
}

/** Resident memory of these processes together, in bytes. */
export function rssOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024, 0)
}

/** How many files a process may open: the hard limit, which every process of the bench gets. */
export function fileLimit(): number {
  const hard = /Max open files\s+\S+\s+(\S+)/.exec(read('/proc/self/limits'))?.[1]
  return Math.min(MOST_FILES, hard === undefined || hard === 'unlimited' ? MOST_FILES : Number(hard))
}

/** What the figures were measured on. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    openFiles: fileLimit(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2))
  }
}
export type Machine = ReturnType<typeof describeMachine>
