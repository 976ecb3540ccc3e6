import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { readCommandLine } from '../../../gateway/sim/command-line.ts'

const read = (line: string) => {
  const ignored: string[] = []
  return { options: readCommandLine(line.split(' '), (flag) => ignored.push(flag)), ignored }
}

describe('the command line', () => {
  it('is that of vLLM, with seconds for times', () => {
    const { options } = read(
      'serve org/model --port 9000 --served-model-name a b --max-model-len 4096 --max-num-seqs=8 --api-key k ' +
        '--max-num-queued-reqs 5 --shutdown-timeout 2 --seed 7 --sse-keep-alive-interval 15 --host 127.0.0.1'
    )
    expect(options).toEqual({
      models: ['a', 'b'],
      host: '127.0.0.1',
      port: 9000,
      seed: 7,
      maxModelLen: 4096,
      maxNumSeqs: 8,
      maxQueuedRequests: 5,
      apiKey: 'k',
      shutdownTimeoutMs: 2000,
      sseKeepAliveMs: 15_000,
      faults: []
    })
  })

  it('serves the model under its own name, on every address and port 8000, unless told', () => {
    expect(read('serve org/model').options).toEqual({ models: ['org/model'], host: '0.0.0.0', port: 8000, faults: [] })
  })

  it('takes a pace of its own, which vLLM has no flag for', () => {
    expect(read('serve org/model --sim-inter-token-ms=60').options).toMatchObject({ pace: { interTokenMs: 60 } })
  })

  it('passes over flags that mean nothing to a simulator, and their values', () => {
    const { options, ignored } = read('serve org/model --gpu-memory-utilization 0.9 --enable-lora --seed 1')
    expect(ignored).toEqual(['--gpu-memory-utilization', '--enable-lora'])
    expect(options).toMatchObject({ models: ['org/model'], seed: 1 })
  })

  it('refuses what is no number, and another command', () => {
    expect(() => read('serve m --port http')).toThrow('--port takes a number, not http')
    expect(() => read('bench m')).toThrow('usage: serve')
  })

  it('starts an engine that SIGTERM ends with 0', async () => {
    const args = ['gateway/sim/main.ts', 'serve', 'org/model', '--port', '0', '--host', '127.0.0.1']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const [line] = await once(child.stderr, 'data')
    const url = /http:\S+/.exec(String(line))?.[0]
    expect((await fetch(`${url}/health`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})
