// Starts the bench's processes, each on its core and in a group of its own, and ends them all, whatever happens.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileLimit } from './machine.ts'

/** The proxy has one core to itself; engine, load generator and runner share the other. */
export const CORES = { proxy: 0, harness: 1 } as const

export interface Started {
  readonly child: ChildProcess
  readonly pid: number
  /** The last words of its log. */
  lastWords(): string
}

export interface StartOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly core: number
  readonly env?: Readonly<Record<string, string>>
  /** Opens Node's channel to it. */
  readonly ipc?: boolean
}

const GRACE_MS = 3_000
const groups = new Map<number, ChildProcess>()

/** Files of this run only; gone with it. */
export const runFolder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))

/** Whether processes can be pinned: taskset is there, and a second core. */
export const pinned = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

/** Moves this process to the harness's core. */
export function pinSelf(): void {
  if (pinned) spawnSync('taskset', ['-a', '-p', '-c', String(CORES.harness), String(process.pid)])
}

/** Starts a process with as many open files as the machine allows. Of the environment only what it needs goes along. */
export function start({ name, command, core, env, ipc }: StartOptions): Started {
  const logFile = join(runFolder, `${name}.log`)
  const log = openSync(logFile, 'w')
  const pin = pinned ? ['taskset', '-c', String(core)] : []
  const child = spawn('sh', ['-c', 'ulimit -n "$0" && exec "$@"', String(fileLimit()), ...pin, ...command], {
    detached: true,
    cwd: runFolder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log]
  })
  closeSync(log)
  child.on('error', () => {})
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} could not be started`)
  groups.set(pid, child)
  child.once('exit', () => groups.delete(pid))
  return { child, pid, lastWords: () => lastLine(logFile) }
}

function lastLine(file: string): string {
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const telling = lines.findLast((line) => /error|fail|invalid|not /i.test(line)) ?? lines.at(-1) ?? ''
  return telling.trim().slice(0, 200)
}

/** Asks a process and its group to end, and makes them when they don't. */
export async function stop({ child, pid }: Started): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  signal(pid, 'SIGTERM')
  const soon = await Promise.race([exited.then(() => true), sleep(GRACE_MS, false, { ref: false })])
  signal(pid, 'SIGKILL')
  if (!soon) await exited
}

function signal(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name)
  } catch {
    // it has ended already
  }
}

/** Ends everything at once and removes the run's files; safe in an exit handler. */
export function endAll(): void {
  for (const group of groups.keys()) signal(group, 'SIGKILL')
  groups.clear()
  rmSync(runFolder, { recursive: true, force: true })
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Waits until `url` answers 200; throws with the process's last words when it ends or time is up. */
export async function untilServing(name: string, started: Started, url: string, timeoutMs: number): Promise<void> {
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(50)) {
    if (started.child.exitCode !== null) throw new Error(`${name} ended at its start: ${started.lastWords()}`)
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
  }
  throw new Error(`${name} does not serve after ${timeoutMs / 1000} s: ${started.lastWords()}`)
}
