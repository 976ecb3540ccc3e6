// The programs of a cluster as child processes: each with a log, ended in the reverse order, and never left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entrust } from './caretaker.ts'

export interface Started {
  readonly name: string
  readonly child: ChildProcess
  /** The last lines that it logged. */
  tail(lines?: number): string
  /** SIGTERM, then SIGKILL after `graceMs`; returns when it is gone. @default 5000 */
  stop(graceMs?: number): Promise<void>
  /** @throws with the end of its log if it has ended by itself */
  assertAlive(): void
}

/** A folder for one cluster's files, and the processes that work in it. */
export interface Workshop extends AsyncDisposable {
  readonly folder: string
  /** What was started and has not ended. */
  readonly processes: readonly Started[]
  start(name: string, path: string, args: readonly string[], env?: Readonly<Record<string, string>>): Started
}

function startProcess(
  folder: string,
  name: string,
  path: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv
): Started {
  const log = join(folder, `${name}.log`)
  const out = openSync(log, 'a')
  const child = spawn(path, args, { cwd: folder, env, stdio: ['ignore', out, out] })
  const release = child.pid === undefined ? () => {} : entrust({ kill: child.pid })
  let failure: Error | undefined
  const gone = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      failure = cause
      resolve()
    })
    child.once('exit', () => resolve())
  }).then(release)
  const tail = (lines = 25) => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  return {
    name,
    child,
    tail,
    async stop(graceMs = 5000) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await gone
      clearTimeout(timer)
    },
    assertAlive() {
      if (failure !== undefined) throw new Error(`${name} did not start: ${failure.message}`)
      if (child.exitCode === null && child.signalCode === null) return
      throw new Error(`${name} ended by itself (${child.exitCode ?? child.signalCode}):\n${tail()}`)
    }
  }
}

/** Makes a folder for a cluster; disposing ends what was started there and deletes it. */
export function openWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  const release = entrust({ remove: folder })
  const started: Started[] = []
  return {
    folder,
    get processes() {
      return started.filter(({ child }) => child.exitCode === null && child.signalCode === null)
    },
    start(name, path, args, env = {}) {
      const process_ = startProcess(folder, name, path, args, { ...process.env, ...env })
      started.push(process_)
      return process_
    },
    async [Symbol.asyncDispose]() {
      for (const one of started.reverse()) await one.stop()
      // a process of a node that was killed may write for a moment longer
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
      release()
    }
  }
}

/**
 * Waits until `holds` returns something other than undefined or false, and returns that.
 * @param what what is awaited, for the error
 * @param state told in the error if it does not come in time: the last state, the end of a log
 */
export async function eventually<T>(
  what: string,
  holds: () => Promise<T | undefined | false> | T | undefined | false,
  { withinMs = 60_000, everyMs = 200, state = async () => '' }: EventuallyOptions = {}
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const result = await holds()
    if (result !== undefined && result !== false) return result
    if (Date.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}\n${await state()}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

export interface EventuallyOptions {
  /** @default 60000 */
  readonly withinMs?: number
  /** @default 200 */
  readonly everyMs?: number
  readonly state?: () => Promise<string> | string
}
