// Reads the flags of `vllm serve` that matter to a simulator, and names those that it passes over.
import { parseArgs } from 'node:util'
import { parseFaults } from './faults.ts'
import type { SimOptions } from './options.ts'

/** The flags that are understood: vLLM's own, and `--sim-*` for what only a simulator has. */
const FLAGS = {
  model: { type: 'string' },
  host: { type: 'string', default: '0.0.0.0' },
  port: { type: 'string', default: '8000' },
  'served-model-name': { type: 'string', multiple: true },
  'max-model-len': { type: 'string' },
  'max-num-seqs': { type: 'string' },
  'max-num-queued-reqs': { type: 'string' },
  'num-gpu-blocks-override': { type: 'string' },
  'block-size': { type: 'string' },
  seed: { type: 'string' },
  'api-key': { type: 'string' },
  'shutdown-timeout': { type: 'string' },
  'sse-keep-alive-interval': { type: 'string' },
  'sim-faults': { type: 'string' },
  'sim-inter-token-ms': { type: 'string' }
} as const

/** A flag that may take several values takes all words up to the next flag; a flag of `parseArgs` takes one. */
function repeatFlag(args: readonly string[], flag: string): string[] {
  let isInside = false
  return args.flatMap((arg) => {
    if (arg.startsWith('-')) isInside = arg === flag
    if (arg === flag) return []
    return isInside && !arg.startsWith('-') ? [flag, arg] : [arg]
  })
}

function readCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`--${name} takes a number, not ${text}`)
  return value
}

/**
 * @param onIgnored is told each flag that has no meaning here
 * @throws RangeError
 */
export function readCommandLine(args: readonly string[], onIgnored: (flag: string) => void): SimOptions {
  const [command, ...rest] = args
  if (command !== 'serve') throw new RangeError('usage: serve MODEL [--port 8000] [--served-model-name NAME ...] ...')
  const { values, positionals, tokens } = parseArgs({
    args: repeatFlag(rest, '--served-model-name'),
    options: FLAGS,
    strict: false,
    allowPositionals: true,
    tokens: true
  })
  for (const token of tokens) {
    if (token.kind === 'option' && !Object.hasOwn(FLAGS, token.name)) onIgnored(token.rawName)
  }
  const text = (name: keyof typeof FLAGS) => (typeof values[name] === 'string' ? values[name] : undefined)
  const count = (name: keyof typeof FLAGS, factor = 1) => {
    const value = readCount(name, text(name))
    return value === undefined ? undefined : value * factor
  }
  const interTokenMs = count('sim-inter-token-ms')
  const names = (values['served-model-name'] ?? []) as string[]
  const options: { [Name in keyof SimOptions]: SimOptions[Name] | undefined } = {
    models: names.length > 0 ? names : [text('model') ?? positionals[0] ?? ''].filter(Boolean),
    host: text('host'),
    port: count('port'),
    seed: count('seed'),
    maxModelLen: count('max-model-len'),
    maxNumSeqs: count('max-num-seqs'),
    maxQueuedRequests: count('max-num-queued-reqs'),
    kvBlocks: count('num-gpu-blocks-override'),
    blockSize: count('block-size'),
    apiKey: text('api-key'),
    shutdownTimeoutMs: count('shutdown-timeout', 1000),
    sseKeepAliveMs: count('sse-keep-alive-interval', 1000),
    pace: interTokenMs === undefined ? undefined : { interTokenMs },
    faults: parseFaults(text('sim-faults') ?? '')
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as unknown as SimOptions
}
