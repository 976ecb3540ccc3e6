import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KEY, MODEL, QUICK, startGateway, type TestGateway } from '../helpers/gateway.ts'
import { findProgram, isMissing } from '../helpers/program.ts'

const PYTHON = findProgram('.cache/python/bin/python')

/** What an application developer writes: only the base URL and the key are ours. */
const STREAM = `
import json, sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0, default_headers=json.loads(sys.argv[4]))
messages = [{"role": "user", "content": "Tell me of rivers."}]
stream = client.chat.completions.create(model=sys.argv[3], messages=messages, stream=True, max_tokens=40)
try:
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
except Exception as error:
    print("\\nraised", type(error).__name__, error)
    sys.exit(3)
`

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

function run(key: string, address = gateway.address, headers = {}): Promise<{ code: number | null; output: string }> {
  const child = spawn(PYTHON ?? 'python3', ['-c', STREAM, address, key, MODEL, JSON.stringify(headers)])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}

const remedy = 'python3 -m venv .cache/python && .cache/python/bin/pip install openai'
describe.skipIf(isMissing(PYTHON, 'tests with the Python SDK', remedy))('the official Python SDK', () => {
  it('streams', async () => {
    const { code, output } = await run(KEY)
    expect(output.split(' ').length).toBeGreaterThan(10)
    expect(code).toBe(0)
  })

  it('streams what can be resumed, over heartbeats between its numbered events', async () => {
    const budget = { heartbeatMs: 20 }
    await using slow = await startGateway({ engines: [{ pace: { ...QUICK, interTokenMs: 60 } }], config: { budget } })
    const { code, output } = await run(KEY, slow.address, { 'x-sluice-resumable': '1', 'x-sluice-timing': '1' })
    expect(output).not.toContain('raised')
    expect(output.split(' ').length).toBeGreaterThan(10)
    expect(code).toBe(0)
    expect(await slow.metric('sluice_stream_views_total', { end: 'complete' })).toBe(1)
  })

  it('raises when the key is not known', async () => {
    const { code, output } = await run('sk-nobody')
    expect(output).toContain('AuthenticationError')
    expect(code).not.toBe(0)
  })

  it('raises when the engine dies in the middle of a stream', async () => {
    gateway.engines[0]?.setFaults([{ kind: 'reset', afterTokens: 5 }])
    const { code, output } = await run(KEY)
    expect(output).toContain('raised APIError')
    expect(code).toBe(3)
    gateway.engines[0]?.setFaults([])
  })
})
