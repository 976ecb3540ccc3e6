import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { jsonOf } from '../helpers/client.ts'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/gateway.ts'

interface Run {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  output(): string
}

const runs: Run[] = []
afterEach(async () => {
  for (const { child, exited } of runs.splice(0)) {
    child.kill('SIGKILL')
    await exited
  }
})

/** What `npm start` runs. */
function start(port: string): Run {
  const child = spawn(process.execPath, ['gateway/cli/up.ts'], { env: { PATH: process.env.PATH, PORT: port } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
  const run = {
    child,
    output: () => output,
    exited: new Promise<number | null>((resolve) => child.once('close', resolve))
  }
  runs.push(run)
  return run
}

describe('npm start', () => {
  it('synthesizes, streams one answer with its figures, prints lines to copy, serves, and leaves on Ctrl-C', async () => {
    const port = String(await freePort())
    const run = start(port)
    await until('it serves', () => run.output().includes('Ctrl-C ends it'), 30_000)
    expect(run.output()).toMatch(/charts-out\/ +\d+ manifests for eu-west and us-east/)
    expect(run.output()).toMatch(/TTFT \d+ ms, \d+ tokens, [\d.]+ tokens\/s/)
    for (const line of ['curl -N', 'new OpenAI({', 'OpenAI(base_url=', 'kubectl --context eu-west apply'])
      expect(run.output()).toContain(line)
    const response = await fetch(`http://127.0.0.1:${port}/v1/models`, {
      headers: { authorization: 'Bearer sk-local' }
    })
    const ids = (await jsonOf(response)).data.map(({ id }: { id: string }) => id)
    expect(ids).toEqual(['f3-7b-instruct', 'llama-3.1-8b-instruct'])
    const page = await fetch(`http://127.0.0.1:${port}/`)
    expect(await page.text()).toContain('<title>Sluice console</title>')
    run.child.kill('SIGINT')
    expect(await run.exited).toBe(0)
  })

  it('says in one line that the port is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const run = start(String(port))
    expect(await run.exited).toBe(1)
    const lines = run.output().trim().split('\n')
    expect(lines.at(-1)).toBe(
      `sluice: port ${port} on 127.0.0.1 is taken; choose another one: PORT=${port + 1} npm start`
    )
    await new Promise((resolve) => server.close(resolve))
  })

  it('says in one line that PORT is no port', async () => {
    for (const port of ['http', '70000', '-1', '80.5']) {
      const run = start(port)
      expect(await run.exited).toBe(1)
      expect(run.output().trim()).toBe(`sluice: PORT: "${port}" is no port; use a number from 0 to 65535`)
    }
  })
})
