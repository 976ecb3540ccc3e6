// The gateway with the settings of `npm start` (keys, caps, metering, heartbeat), but room for every stream on one engine.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hashKey } from '../../../gateway/admission/keys.ts'
import type { ConfigInput } from '../../../gateway/contract.ts'
import type { KeyFile } from '../../../gateway/key-schema.ts'
import { CORES, freePort, runFolder, start, untilServing } from '../processes.ts'
import { HOST, START_MS, type Subject } from './subject.ts'

const MAIN = fileURLToPath(new URL('../../../gateway/main.ts', import.meta.url))
const MODEL = 'f3-7b-instruct'
/** As `npm start`, `npm run gateway` and the image run it. */
const NODE_FLAGS = ['--max-semi-space-size=4']

/** Which of its ways to clients and engines the gateway takes; the fast ones without it. */
type Ways = Pick<ConfigInput, 'clientServer' | 'engineClient'>

function writeFiles(name: string, port: number, enginePort: number, ways: Ways, key: string) {
  const salt = randomBytes(32).toString('base64')
  const keys: KeyFile = { salt, keys: [{ id: 'bench', hash: hashKey(salt, key) }] }
  const keysFile = join(runFolder, `${name}-keys.json`)
  const config: ConfigInput = {
    region: 'local',
    listen: { host: HOST, port },
    keysFile,
    logLevel: 'warn',
    healthIntervalMs: 500,
    ...ways,
    budget: { propagationMs: 0, drainMs: 5_000 },
    pools: [
      {
        name: 'local',
        models: [{ name: MODEL, maxOutputTokens: 2048 }],
        engines: { urls: [`http://${HOST}:${enginePort}`] },
        maxActivePerEngine: 20_000
      }
    ]
  }
  const file = join(runFolder, `${name}.json`)
  writeFileSync(keysFile, JSON.stringify(keys))
  writeFileSync(file, JSON.stringify(config))
  return file
}

/**
 * The gateway by some of its ways.
 * @param profileFolder where it leaves a CPU profile when it ends; none is taken without it
 */
export const sluice = (name: string, ways: Ways, profileFolder?: string): Subject => ({
  name,
  about: `the gateway as npm start configures it${Object.entries(ways).map(([name, way]) => `, ${name} ${way}`)}`,
  peer: false,
  installed: () => true,
  async start(enginePort) {
    const port = await freePort()
    const key = `sk-${randomBytes(32).toString('base64url')}`
    const file = writeFiles(name, port, enginePort, ways, key)
    const profiling = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    const command = [process.execPath, ...NODE_FLAGS, ...profiling, MAIN]
    const started = start({ name, command, core: CORES.proxy, env: { SLUICE_CONFIG: file } })
    await untilServing(name, started, `http://${HOST}:${port}/readyz`, START_MS)
    const headers = { authorization: `Bearer ${key}` }
    return { name, host: HOST, port, model: MODEL, headers, pid: started.pid, scale: 1, started }
  }
})
