// Portkey's AI gateway from npm, installed into a folder of the bench: a peer gateway in TypeScript, as it comes and repaired.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CORES, freePort, start, untilServing } from '../processes.ts'
import { install, installFolder } from './install.ts'
import { HOST, START_MS, type Subject } from './subject.ts'

/** Pinned: a bench that follows the newest version compares nothing over time. */
const VERSION = '1.15.2'
const FOLDER = join(installFolder, 'portkey')
const SERVER = join(FOLDER, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js')

/**
 * As installed it answers 500 to every stream: it adds headers to a response of `fetch`, whose headers are immutable.
 * One expression copies the response first.
 */
const BROKEN = 'this.updateHeaders(i,'
const REPAIRED = 'this.updateHeaders(i=new Response(i.body,i),'

function installPortkey(): void {
  mkdirSync(FOLDER, { recursive: true })
  // a package of its own, so that npm leaves the project's alone
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify({ private: true }))
  install('npm', ['install', '--prefix', FOLDER, '--no-audit', '--no-fund', `@portkey-ai/gateway@${VERSION}`])
}

/** A copy with the one expression changed, beside the original. */
function repair(): string {
  const parts = readFileSync(SERVER, 'utf8').split(BROKEN)
  if (parts.length !== 2) throw new Error('the expression to change is not where it was')
  const path = join(dirname(SERVER), 'start-server-repaired.js')
  writeFileSync(path, parts.join(REPAIRED))
  return path
}

export const portkey = (name: string, repaired: boolean): Subject => ({
  name,
  about: `Portkey's gateway ${VERSION} (npm), ${repaired ? 'one expression changed so that it streams' : 'as installed'}`,
  peer: true,
  installed: () => existsSync(SERVER),
  async start(enginePort, say) {
    if (!existsSync(SERVER)) {
      say(`installing Portkey ${VERSION} into .cache/bench`)
      installPortkey()
    }
    const port = await freePort()
    const command = [process.execPath, repaired ? repair() : SERVER, '--headless', `--port=${port}`]
    const env = { TRUSTED_CUSTOM_HOSTS: HOST }
    const started = start({ name, command, core: CORES.proxy, env })
    await untilServing(name, started, `http://${HOST}:${port}/`, START_MS)
    const headers = {
      authorization: 'Bearer none',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://${HOST}:${enginePort}/v1`
    }
    return { name, host: HOST, port, model: 'bench', headers, pid: started.pid, scale: 1, started }
  }
})
