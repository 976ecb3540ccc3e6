// `npm start`: the main job on embedded defaults: manifests, two simulated engines, the gateway, one streamed answer.
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StackError, synthesize } from '../../infra/main.ts'
import { stack } from '../../infra/stack.ts'
import { hashKey } from '../admission/keys.ts'
import { type App, createApp } from '../app.ts'
import { ConfigError, parseConfig, parsePort, type Settings } from '../config.ts'
import { type SimEngine, startSimEngine } from '../sim/engine.ts'
import { createLog } from '../telemetry/log.ts'
import { streamOnce } from './stream-once.ts'

const HOST = '127.0.0.1'
const DEFAULT_PORT = 8080
const KEY = 'sk-local'
const MODELS = ['f3-7b-instruct', 'llama-3.1-8b-instruct'] as const
const CHARTS = fileURLToPath(new URL('../../charts-out', import.meta.url))
const READY_MS = 15_000

const say = (line = '') => process.stdout.write(`${line}\n`)

/** A failure that one line explains: nothing of it is a mystery, so no stack is shown. */
class Explained extends Error {}

function localSettings(engines: readonly SimEngine[], port: number): Settings {
  const salt = randomBytes(32).toString('base64')
  const input = {
    region: 'local',
    listen: { host: HOST, port },
    keysFile: '(in memory)',
    logLevel: 'warn',
    healthIntervalMs: 500,
    console: true,
    budget: { propagationMs: 0, drainMs: 5_000 },
    pools: [
      {
        name: 'local',
        models: MODELS.map((name) => ({ name, maxOutputTokens: 2048 })),
        engines: { urls: engines.map(({ url }) => url) }
      }
    ]
  }
  return {
    config: parseConfig(input, 'of the local run'),
    keyFile: { salt, keys: [{ id: 'local', hash: hashKey(salt, KEY) }] },
    engineKeys: new Map(),
    streams: { signingKey: undefined, redisUrl: undefined }
  }
}

/** Returns the folders of the regions. */
function writeCharts(): readonly string[] {
  const { files, folders, notices } = synthesize(stack, CHARTS)
  say(`charts-out/     ${files.length} manifests for ${new Intl.ListFormat('en').format(folders)}`)
  if (notices.length > 0)
    say(`                ${notices.length} notes on what their clusters need: npm run synth prints them`)
  return folders
}

async function startGateway(engines: readonly SimEngine[], port: number): Promise<{ app: App; address: string }> {
  const settings = localSettings(engines, port)
  const app = createApp(settings, createLog(settings.config.logLevel))
  try {
    const address = await app.listen()
    return { app, address }
  } catch (cause) {
    await app.close()
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    throw new Explained(`port ${port} on ${HOST} is taken; choose another one: PORT=${port + 1} npm start`)
  }
}

async function untilReady(app: App): Promise<void> {
  for (const until = Date.now() + READY_MS; Date.now() < until; await new Promise((done) => setTimeout(done, 20))) {
    if (app.readiness().ready) return
  }
  throw new Explained(`not ready after ${READY_MS / 1000} s: ${app.readiness().reasons.join('; ')}`)
}

async function showOneAnswer(address: string): Promise<void> {
  const request = {
    address,
    key: KEY,
    model: MODELS[0],
    prompt: 'Why do words that appear at once feel faster?',
    maxTokens: 60
  }
  say(`\n${request.model} is asked: ${request.prompt}\n`)
  const { ttftMs, tokens, tokensPerSecond } = await streamOnce(request, (text) => process.stdout.write(text))
  say(`\n\nTTFT ${ttftMs.toFixed(0)} ms, ${tokens} tokens, ${tokensPerSecond.toFixed(1)} tokens/s (simulated engines)`)
}

function printLines(address: string, folders: readonly string[]): void {
  say(`
Ask it yourself:

  curl -N ${address}/v1/chat/completions -H 'Authorization: Bearer ${KEY}' -H 'Content-Type: application/json' \\
    -d '{"model":"${MODELS[0]}","messages":[{"role":"user","content":"Hello"}],"stream":true,"max_tokens":200}'

  // JavaScript: npm install openai
  import OpenAI from 'openai'
  const client = new OpenAI({ baseURL: '${address}/v1', apiKey: '${KEY}' })
  const messages = [{ role: 'user', content: 'Hello' }]
  const stream = await client.chat.completions.create({ model: '${MODELS[0]}', messages, stream: true, max_tokens: 200 })
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '')

  # Python: pip install openai
  from openai import OpenAI
  client = OpenAI(base_url="${address}/v1", api_key="${KEY}")
  messages = [{"role": "user", "content": "Hello"}]
  stream = client.chat.completions.create(model="${MODELS[1]}", messages=messages, stream=True, max_tokens=200)
  for chunk in stream: print(chunk.choices[0].delta.content or "", end="", flush=True)

The manifests are in charts-out/, one folder a region. Read infra/stack.ts, then:

${folders.map((folder) => `  kubectl --context ${basename(folder)} apply -k charts-out/${folder}`).join('\n')}

See it: ${address}/ in a browser. The key is ${KEY}.

Serving on ${address} (models ${MODELS.join(', ')}; key ${KEY}). Ctrl-C ends it.`)
}

async function up(): Promise<void> {
  const port = parsePort() ?? DEFAULT_PORT
  const folders = writeCharts()
  const engines = await Promise.all([1, 2].map((seed) => startSimEngine({ models: [...MODELS], seed })))
  const { app, address } = await startGateway(engines, port)
  await untilReady(app)
  say(`gateway         ${address}, ready; simulated engines on ${engines.map(({ url }) => url).join(' and ')}`)
  await showOneAnswer(address)
  printLines(address, folders)
  let leaving = false
  const leave = async () => {
    if (leaving) process.exit(1)
    leaving = true
    say('\nOpen streams may end; Ctrl-C again ends at once.')
    await app.drain()
    await Promise.all(engines.map((engine) => engine.close()))
    process.exit(0)
  }
  process.on('SIGINT', leave)
  process.on('SIGTERM', leave)
}

try {
  await up()
} catch (cause) {
  const explained = cause instanceof Explained || cause instanceof ConfigError || cause instanceof StackError
  process.stderr.write(`sluice: ${explained ? (cause as Error).message : (cause as Error).stack}\n`)
  process.exit(1)
}
