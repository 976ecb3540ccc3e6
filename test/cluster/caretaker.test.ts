// Whatever ends a test run, its programs and folders go with it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { eventually } from './harness/processes.ts'

const PROCESSES = new URL('./harness/processes.ts', import.meta.url)
const RUN = `
const { openWorkshop } = await import('${PROCESSES}')
const { folder, start } = openWorkshop()
const { child } = start('sleep', 'sleep', ['600'])
console.log(JSON.stringify({ folder, pid: child.pid }))
setInterval(() => {}, 1000)
`

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('ends programs and removes folders after %s', async (signal) => {
  const run = spawn(process.execPath, ['--input-type=module', '--eval', RUN], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(run.stdout, 'data')
  const { folder, pid }: { folder: string; pid: number } = JSON.parse(String(line))
  expect([existsSync(folder), isThere(pid)]).toEqual([true, true])
  run.kill(signal)
  await eventually(`${folder} and process ${pid} are gone`, () => !existsSync(folder) && !isThere(pid))
})
