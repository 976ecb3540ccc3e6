// Starts a real gateway in front of simulated engines, in this process or in one of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashKey } from '../../gateway/admission/keys.ts'
import { type App, createApp } from '../../gateway/app.ts'
import { parseConfig, type Settings } from '../../gateway/config.ts'
import type { ConfigInput } from '../../gateway/contract.ts'
import type { KeyFile } from '../../gateway/key-schema.ts'
import { type SimEngine, type SimOptions, startSimEngine } from '../../gateway/sim/engine.ts'
import { createLog } from '../../gateway/telemetry/log.ts'

export const KEY = 'sk-test-unrestricted'
export const SMALL_KEY = 'sk-test-at-most-10-tokens'
export const SECRET_KEY = 'sk-test-may-use-the-secret-model'
export const MODEL = 'f3-7b-instruct'
export const SECRET_MODEL = 'secret-model'

const SALT = Buffer.alloc(32, 7).toString('base64')

export const KEY_FILE: KeyFile = {
  salt: SALT,
  keys: [
    { id: 'unrestricted', hash: hashKey(SALT, KEY) },
    { id: 'small', hash: hashKey(SALT, SMALL_KEY), maxOutputTokens: 10 },
    { id: 'secret', hash: hashKey(SALT, SECRET_KEY), models: [SECRET_MODEL, MODEL] }
  ]
}

export interface TestGateway extends AsyncDisposable {
  readonly app: App
  readonly address: string
  readonly engines: readonly SimEngine[]
  /** The log so far, a parsed line each. */
  readonly log: Record<string, unknown>[]
  /** The value of a metric whose series has all of `labels`; 0 where there is none. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
}

/** A pace at which a test is quick and each token still comes on its own. */
export const QUICK = { prefillOverheadMs: 2, prefillPerTokenMs: 0, interTokenMs: 2 }

/** The pace of an engine that writes as fast as it can. */
export const INSTANT = { prefillOverheadMs: 0, prefillPerTokenMs: 0, interTokenMs: 0 }

/** An engine that writes as fast as it can, and more than a test waits for. */
export const FIREHOSE = { pace: INSTANT, maxModelLen: 10_000_000, kvBlocks: 1_000_000 }

/** An engine that has room for answers that are long, and for many of them. */
export const ROOMY = { maxModelLen: 100_000, kvBlocks: 100_000 }

export type TestOptions = {
  readonly engines?: Partial<SimOptions>[]
  /** Engines of the test's own, besides the simulated ones. */
  readonly urls?: string[]
  /** Merged over the default configuration; `pool` over its only pool. */
  readonly config?: Partial<ConfigInput>
  readonly pool?: Partial<ConfigInput['pools'][number]>
  /** The secrets of resumable streams. */
  readonly streams?: Settings['streams']
}

const IN_MEMORY = { signingKey: undefined, redisUrl: undefined }

/** The fast ways to clients and engines, and each slow one; what holds for one must hold for the others. */
export const WAYS = ['auto', 'undici', 'fastify'] as const
const SETTINGS = { auto: {}, undici: { engineClient: 'undici' }, fastify: { clientServer: 'fastify' } } as const

/** `startGateway` by one of the ways. */
export const startBy =
  (way: (typeof WAYS)[number]) =>
  (options: TestOptions = {}) =>
    startGateway({ ...options, config: { ...options.config, ...SETTINGS[way] } })

/** Starts simulated engines only. */
export function startEngines(options: Partial<SimOptions>[] = [{}]): Promise<SimEngine[]> {
  return Promise.all(
    options.map((engine, index) =>
      startSimEngine({ models: [MODEL, SECRET_MODEL], seed: index + 1, pace: QUICK, ...engine })
    )
  )
}

export function testConfig(urls: string[], options: TestOptions = {}): ConfigInput {
  return {
    region: 'test',
    listen: { host: '127.0.0.1', port: 0 },
    healthIntervalMs: 200,
    ...options.config,
    pools: [
      {
        name: 'test',
        models: [
          { name: MODEL, maxOutputTokens: 100_000 },
          { name: SECRET_MODEL, restricted: true }
        ],
        engines: { urls },
        ...options.pool
      }
    ]
  }
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000
): Promise<void> {
  const end = performance.now() + timeoutMs
  // a busy machine may pause this process for the rest of the time: the state counts then, not the clock
  for (; !(await condition()); await new Promise((go) => setTimeout(go, 5))) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`)
  }
}

/** Starts engines and a gateway over them in this process, and waits until it is ready. */
export async function startGateway(options: TestOptions = {}): Promise<TestGateway> {
  const engines = await startEngines(options.engines)
  const log: Record<string, unknown>[] = []
  const urls = [...engines.map(({ url }) => url), ...(options.urls ?? [])]
  const config = parseConfig(testConfig(urls, options), 'of the test', {})
  const settings: Settings = {
    config,
    keyFile: KEY_FILE,
    engineKeys: new Map([['test', 'engine-key']]),
    streams: options.streams ?? IN_MEMORY
  }
  const app = createApp(settings, createLog('info', { write: (line) => log.push(JSON.parse(line)) }))
  const address = await app.listen()
  if (!config.pools[0]?.waitForEngine) {
    await until('the gateway is ready', () => app.readiness().ready)
    const isUp = ({ url }: SimEngine) =>
      log.some(({ endpoint, state }) => endpoint === new URL(url).host && state === 'up')
    await until('each engine is well', () => engines.every(isUp))
  }
  return {
    app,
    address,
    engines,
    log,
    metric: (name, labels) => readMetric(address, name, labels),
    async [Symbol.asyncDispose]() {
      await app.close()
      await Promise.all(engines.map((engine) => engine.close()))
    }
  }
}

/** Everything that requests take has been given back: the engine, the slots, the leases. */
export async function expectNothingLeft(gateway: TestGateway): Promise<void> {
  const isIdle = ({ running, waiting }: SimEngine['stats']) => running === 0 && waiting === 0
  await until('the engine runs nothing', () => gateway.engines.every(({ stats }) => isIdle(stats)))
  await until('no slot is held', async () => (await gateway.metric('sluice_active_requests')) === 0)
  await until('no lease is held', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0)
}

export async function readMetric(address: string, name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text()
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  const matching = lines.filter((line) => wanted.every((label) => line.includes(label)))
  return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

export interface GatewayProcess extends AsyncDisposable {
  readonly address: string
  readonly child: ChildProcess
  /** Holds `KEY_FILE` until it is written anew. */
  readonly keysFile: string
  /** What it wrote to stdout and stderr so far. */
  output(): string
  rssBytes(): number
  /** Returns when it has collected its garbage. */
  collectGarbage(): Promise<void>
  /** Resolves to its exit code. */
  exited: Promise<number | null>
}

const FLAGS = [
  '--max-semi-space-size=4',
  '--expose-gc',
  '--import',
  './test/helpers/gc-on-signal.ts',
  'gateway/main.ts'
]

/** Starts `gateway/main.ts` as a process of its own, with a configuration file and a key file as in a pod. */
export async function spawnGateway(
  config: ConfigInput,
  environment: Record<string, string> = {}
): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const keysFile = join(folder, 'keys.json')
  writeFileSync(keysFile, JSON.stringify(KEY_FILE))
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, keysFile }))
  const env = { ...environment, PATH: process.env.PATH, SLUICE_CONFIG: join(folder, 'config.json') }
  const child = spawn(process.execPath, FLAGS, {
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (output += bytes))
  // once it has ended and all that it wrote is here
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  const address = () => /"address":"([^"]+)"/.exec(output)?.[1]
  await until('the gateway listens', () => address() !== undefined || child.exitCode !== null)
  const listening = address()
  if (listening === undefined) throw new Error(`the gateway did not start:\n${output}`)
  await until('the gateway is ready', async () => (await fetch(`${listening}/readyz`)).ok)
  return {
    address: listening,
    child,
    keysFile,
    exited,
    output: () => output,
    rssBytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
    async collectGarbage() {
      const times = () => output.split('garbage collected').length
      const before = times()
      child.kill('SIGUSR2')
      await until('garbage is collected', () => times() > before)
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true })
    }
  }
}
