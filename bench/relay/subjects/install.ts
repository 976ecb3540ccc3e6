// Installs a peer gateway from its registry into the bench's own folder, which git ignores.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const installFolder = fileURLToPath(new URL('../../../.cache/bench', import.meta.url))

/** An installation that takes longer hangs. */
const INSTALL_MS = 600_000

/** Runs one step of an installation; throws with its last words when it fails. */
export function install(command: string, args: readonly string[]): void {
  mkdirSync(installFolder, { recursive: true })
  const { status, error, stderr } = spawnSync(command, args, { cwd: installFolder, timeout: INSTALL_MS })
  if (status === 0) return
  const words = error?.message ?? stderr.toString().trim().split('\n').at(-1) ?? ''
  throw new Error(`it could not be installed: ${words.slice(0, 200)}`)
}
