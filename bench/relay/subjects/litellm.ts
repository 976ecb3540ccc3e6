// LiteLLM's proxy from PyPI, installed into a virtual environment of the bench: a peer gateway in Python.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CORES, freePort, runFolder, start, untilServing } from '../processes.ts'
import { install, installFolder } from './install.ts'
import { HOST, type Subject } from './subject.ts'

/** Pinned: a bench that follows the newest version compares nothing over time. */
const VERSION = '1.99.4'
const FOLDER = join(installFolder, 'litellm')
const PROGRAM = join(FOLDER, 'bin', 'litellm')
const KEY = 'sk-bench'
/** Python imports for a long while. */
const SLOW_START_MS = 90_000

/** One model, a master key, no database; the settings that LiteLLM's guide for production gives where they cost no feature. */
const configure = (enginePort: number) => ({
  model_list: [
    {
      model_name: 'bench',
      litellm_params: { model: 'openai/bench', api_base: `http://${HOST}:${enginePort}/v1`, api_key: 'none' }
    }
  ],
  general_settings: { master_key: KEY },
  litellm_settings: { set_verbose: false, telemetry: false, num_retries: 0 }
})

function installLiteLlm(): void {
  install('python3', ['-m', 'venv', FOLDER])
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:']
  install(join(FOLDER, 'bin', 'python3'), [...pip, `litellm[proxy]==${VERSION}`])
}

export const litellm: Subject = {
  name: 'litellm',
  about: `LiteLLM's proxy ${VERSION} (PyPI), one worker`,
  peer: true,
  installed: () => existsSync(PROGRAM),
  async start(enginePort, say) {
    if (!existsSync(PROGRAM)) {
      say(`installing LiteLLM ${VERSION} into .cache/bench, a minute or two`)
      installLiteLlm()
    }
    const port = await freePort()
    const file = join(runFolder, 'litellm.json')
    writeFileSync(file, JSON.stringify(configure(enginePort)))
    const command = [PROGRAM, '--config', file, '--host', HOST, '--port', String(port), '--num_workers', '1']
    const env = { LITELLM_LOG: 'ERROR', LITELLM_MODE: 'PRODUCTION', LITELLM_LOCAL_MODEL_COST_MAP: 'True' }
    const started = start({ name: 'litellm', command, core: CORES.proxy, env })
    await untilServing('litellm', started, `http://${HOST}:${port}/health/liveliness`, SLOW_START_MS)
    const headers = { authorization: `Bearer ${KEY}` }
    return { name: 'litellm', host: HOST, port, model: 'bench', headers, pid: started.pid, scale: 0.02, started }
  }
}
