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

/** Two turns on one WebSocket, the second with new input only; then a request that can't be. */
const CONVERSE = `
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0)
with client.responses.connect() as connection:
    def ask(**more):
        connection.response.create(stream_id="main", max_output_tokens=2000, **more)
        for event in connection:
            if event.type == "error":
                return event.error.code
            if event.type == "response.completed":
                return event.response
    first = ask(model=sys.argv[3], input="Tell me of rivers.")
    second = ask(model=sys.argv[3], input="And of lakes?", previous_response_id=first.id)
    print(second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens)
    print(ask(model="nobody", input="Hello"))
`

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

interface Run {
  readonly program?: string
  readonly address?: string
  readonly headers?: Record<string, string>
}

function run(key: string, { program = STREAM, address = gateway.address, headers = {} }: Run = {}) {
  const child = spawn(PYTHON ?? 'python3', ['-c', program, address, key, MODEL, JSON.stringify(headers)])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
  return new Promise<{ code: number | null; output: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, output }))
  )
}

const remedy = 'python3 -m venv .cache/python && .cache/python/bin/pip install "openai[realtime]"'
describe.skipIf(isMissing(PYTHON, 'tests with the Python SDK', remedy))('the official Python SDK', () => {
  it('streams', async () => {
    const { code, output } = await run(KEY)
    expect(output.split(' ').length).toBeGreaterThan(10)
    expect(code).toBe(0)
  })

  it('streams what can be resumed, over heartbeats between its numbered events', async () => {
    const budget = { heartbeatMs: 20 }
    await using slow = await startGateway({ engines: [{ pace: { ...QUICK, interTokenMs: 60 } }], config: { budget } })
    const headers = { 'x-sluice-resumable': '1', 'x-sluice-timing': '1' }
    const { code, output } = await run(KEY, { address: slow.address, headers })
    expect(output).not.toContain('raised')
    expect(output.split(' ').length).toBeGreaterThan(10)
    expect(code).toBe(0)
    expect(await slow.metric('sluice_stream_views_total', { end: 'complete' })).toBe(1)
  })

  it('goes on from a response over a WebSocket, and is told of an error', async () => {
    expect(await run(KEY, { program: CONVERSE })).toEqual({ code: 0, output: 'True\nmodel_not_found\n' })
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
