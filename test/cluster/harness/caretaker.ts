// Undoes what a process has left when it is gone, even if it was killed: a process beside it, which waits for its end.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What is to be undone. `kill` takes a process id, `remove` a folder, `run` a program with its arguments. */
export type Duty =
  | { readonly kill: number }
  | { readonly remove: string }
  | { readonly run: readonly [string, ...string[]] }

let caretaker: ChildProcess | undefined
let count = 0

/**
 * Has something undone when this process ends in whatever way, the newest duty first.
 * @returns a function to call once it has been undone
 */
export function entrust(duty: Duty): () => void {
  if (caretaker === undefined) {
    // detached: it must outlive Ctrl-C, which the terminal sends to all processes of a group
    caretaker = spawn(process.execPath, [import.meta.filename], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    caretaker.unref()
    const { stdin } = caretaker
    if (stdin !== null && 'unref' in stdin) (stdin as { unref(): void }).unref()
  }
  const id = ++count
  const tell = (message: object) => caretaker?.stdin?.write(`${JSON.stringify(message)}\n`)
  tell({ id, duty })
  return () => tell({ id })
}

function fulfil(duty: Duty): void {
  try {
    if ('kill' in duty) process.kill(duty.kill, 'SIGKILL')
    else if ('remove' in duty) rmSync(duty.remove, { recursive: true, force: true, maxRetries: 5 })
    else spawnSync(duty.run[0], duty.run.slice(1), { stdio: 'ignore', timeout: 120_000 })
  } catch {
    // gone already
  }
}

async function main(): Promise<void> {
  const duties = new Map<number, Duty>()
  // ends with the pipe, whose other end is the process that is looked after
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, duty }: { id: number; duty?: Duty } = JSON.parse(line)
    if (duty === undefined) duties.delete(id)
    else duties.set(id, duty)
  }
  for (const duty of [...duties.values()].reverse()) fulfil(duty)
}

if (import.meta.main) await main()
