// Runs a proxy's program over a configuration of its own, until it is disposed of.
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { openChat } from './client.ts'
import { until } from './gateway.ts'

/** Leaves the proxy at `address` in the middle of an answer, and expects the engine behind it to be freed. */
export async function expectLeavingToFree({ stats }: SimEngine, address: string): Promise<void> {
  const before = stats.aborted
  const open = openChat(address, { body: { stream: true, max_tokens: 5_000, ignore_eos: true } })
  const response = await open.head
  await new Promise((resolve) => response.once('data', resolve))
  open.leave()
  await until('the engine notices', () => stats.aborted === before + 1)
}

/** Counts until it is `enough`: a busy machine lets pieces run together that a proxy has sent one by one. @returns the most */
export async function mostOf(count: () => Promise<number>, enough: number): Promise<number> {
  let most = await count()
  for (let tries = 1; tries < 5 && most <= enough; tries++) most = Math.max(most, await count())
  return most
}

/** A proxy that listens. */
export interface ProxyProgram extends AsyncDisposable {
  readonly address: string
}

/** How a proxy is started. */
export interface ProxyCommand {
  readonly name: string
  readonly path: string
  readonly args: readonly string[]
  /** The port of the loopback that its configuration names. */
  readonly port: number
  /** A folder of its own, which is removed with it. */
  readonly folder: string
  /** What ends it at once. */
  readonly signal: 'SIGTERM' | 'SIGKILL'
}

/** Starts the program and waits until it listens. */
export async function startProxy({ name, path, args, port, folder, signal }: ProxyCommand): Promise<ProxyProgram> {
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (bytes) => (errors += bytes))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const address = `http://127.0.0.1:${port}`
  await until(`${name} listens ${errors}`, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${errors}`)
    return fetch(address).then(
      () => true,
      () => false
    )
  })
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill(signal)
      await exited
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
