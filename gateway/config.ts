// Loads the configuration: a file, overridden by a few environment variables, validated as a whole and frozen.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { type Config, configSchema, describeProblems, ENV, FILES } from './contract.ts'
import { locateMistake } from './json-mistake.ts'
import { type KeyFile, keyFileFrameSchema, keyFileSchema, keySchema } from './key-schema.ts'
import { inSlices } from './slices.ts'

/** A configuration that can't be used; `problems` says where and what, a line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(what: string, problems: readonly string[]) {
    super([what, ...problems.map((problem) => `  ${problem}`)].join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** The configuration and the secrets that it names; the secrets are kept apart so that no print shows them. */
export interface Settings {
  readonly config: Config
  readonly keyFile: KeyFile
  /** The engines' own bearer tokens by pool. */
  readonly engineKeys: ReadonlyMap<string, string>
  readonly streams: StreamSecrets
}

/** The secrets of resumable streams. */
export interface StreamSecrets {
  /** Undefined: each process signs with a key of its own. */
  readonly signingKey: Buffer | undefined
  /** Undefined: streams are kept in memory. It may hold a password. */
  readonly redisUrl: string | undefined
}

/** What a file is called that can't be read, and where its path comes from. */
const CONFIG_FILE = `configuration, whose path is ${ENV.config} or the default`
const KEYS_FILE = 'key file, whose path is keysFile of the configuration, and which `npm run keys` writes'

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads the file that `SLUICE_CONFIG` names and everything that it refers to; throws a `ConfigError`. */
export function loadSettings(environment: Environment = process.env): Settings {
  const path = environment[ENV.config] ?? FILES.config
  const config = parseConfig(readJson(path, CONFIG_FILE), path, environment)
  const keyFile = loadKeyFile(config.keysFile)
  const engineKeys = new Map<string, string>()
  for (const { name, engineKeyFile } of config.pools) {
    if (engineKeyFile !== undefined) engineKeys.set(name, readEngineKey(engineKeyFile, name))
  }
  return { config, keyFile, engineKeys, streams: readStreamSecrets(config, environment) }
}

/** Reads a file of API keys; throws a `ConfigError`. */
export function loadKeyFile(path: string): KeyFile {
  return parse(keyFileSchema, readJson(path, KEYS_FILE), `key file ${path}`)
}

const keysSchema = z.array(keySchema)

/** Reads a file of API keys, as `loadKeyFile` does, but looks at its keys in slices: of very many, that takes longest. */
export async function loadKeyFileInSlices(path: string): Promise<KeyFile> {
  const text = await readFile(path, 'utf8').catch((cause) => refuseFile(path, KEYS_FILE, cause))
  const input = parseJson(text, path, KEYS_FILE)
  const what = `key file ${path}`
  const said = (input as { keys?: unknown } | null)?.keys
  if (!Array.isArray(said)) return parse(keyFileSchema, input, what)
  const keys: KeyFile['keys'] = []
  await inSlices(said, (slice, from) => keys.push(...parse(keysSchema, slice, what, from)))
  return parse(keyFileFrameSchema, { ...(input as object), keys }, what)
}

/** Validates `input` with the environment's overrides on top; throws a `ConfigError` that names `source`. */
export function parseConfig(input: unknown, source: string, environment: Environment = process.env): Config {
  const config = parse(configSchema, input, `configuration ${source}`)
  const port = parsePort(environment)
  const host = environment[ENV.host]
  const logLevel = environment[ENV.logLevel]
  const overridden = {
    ...config,
    listen: { host: host || config.listen.host, port: port ?? config.listen.port },
    ...(logLevel ? { logLevel } : {})
  }
  return deepFreeze(parse(configSchema, overridden, `configuration ${source} with the environment's overrides`))
}

/** The `PORT` of the environment, or undefined without one; throws a `ConfigError` for what is no port. */
export function parsePort(environment: Environment = process.env): number | undefined {
  const port = environment[ENV.port]
  if (port === undefined || port === '') return undefined
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port)
  throw new ConfigError(`${ENV.port}: "${port}" is no port; use a number from 0 to 65535`, [])
}

/** @param from where `input` is a slice of the keys, how many come before it */
function parse<T extends z.ZodType>(schema: T, input: unknown, what: string, from?: number): z.output<T> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const error =
    from === undefined ? result.error : new z.ZodError(result.error.issues.map((issue) => moveKey(issue, from)))
  throw new ConfigError(`${what} is not usable:`, describeProblems(error))
}

function moveKey(issue: z.core.$ZodIssue, from: number): z.core.$ZodIssue {
  const [index, ...inKey] = issue.path
  return { ...issue, path: ['keys', Number(index) + from, ...inKey] }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    return refuseFile(path, what, cause)
  }
}

function refuseFile(path: string, what: string, cause: unknown): never {
  throw new ConfigError(what, [
    `${path}: ${(cause as NodeJS.ErrnoException).code ?? cause}; is it mounted and readable?`
  ])
}

/** A key goes into a header: anything but plain visible characters would end it, or begin another. */
function readEngineKey(path: string, pool: string): string {
  const key = readText(path, `engine key of pool ${pool}`).trim()
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new ConfigError(`engine key of pool ${pool}`, [
    `${path}: must hold one key of visible ASCII characters, and nothing else`
  ])
}

/** Below this a key could be guessed. */
const MIN_SIGNING_KEY_CHARS = 32

function readStreamSecrets({ streams }: Config, environment: Environment): StreamSecrets {
  const { signingKeyFile, redis } = streams
  const read = (variable: string, file: string | undefined, what: string) =>
    environment[variable]?.trim() || (file === undefined ? undefined : readText(file, what).trim())
  const key = read(ENV.signingKey, signingKeyFile, 'signing key of streams')
  const redisUrl = read(ENV.redisUrl, redis.urlFile, 'Redis URL of streams')
  const problems: string[] = []
  if (key !== undefined && key.length < MIN_SIGNING_KEY_CHARS)
    problems.push(
      `signingKey: has ${key.length} characters; use ${MIN_SIGNING_KEY_CHARS} or more, as openssl rand -hex 32 prints`
    )
  if (redisUrl !== undefined && !isRedisUrl(redisUrl))
    problems.push(
      'redis: its URL is not usable; write redis://HOST:PORT or rediss://HOST:PORT, user and password in front of HOST'
    )
  if (redisUrl !== undefined && key === undefined)
    problems.push(
      `signingKeyFile: is missing; gateways that share Redis must sign URLs with one key: name its file, or set ${ENV.signingKey}`
    )
  if (problems.length > 0)
    throw new ConfigError(
      'streams are not usable:',
      problems.map((one) => `streams.${one}`)
    )
  return { signingKey: key === undefined ? undefined : Buffer.from(key), redisUrl }
}

function isRedisUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && ['redis:', 'rediss:'].includes(url.protocol) && url.hostname !== ''
}

const readJson = (path: string, what: string): unknown => parseJson(readText(path, what), path, what)

function parseJson(text: string, path: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // the parser's own message would quote the file, and this may be a file of secrets
    throw new ConfigError(what, [`${path}: not valid JSON: ${locateMistake(text)}`])
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}
