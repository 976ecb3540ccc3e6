// What a simulated engine can be told: the options, their defaults, and the sets that make no sense.
import type { Fault } from './faults.ts'
import { DEFAULT_PACE, type Pace } from './pace.ts'

export interface SimOptions {
  /** The served names (`--served-model-name`); the first one is the metrics' label. */
  readonly models: readonly string[]
  /** @default 0 */
  readonly seed?: number
  /** @default 127.0.0.1 */
  readonly host?: string
  /** @default 0, which takes a free one */
  readonly port?: number
  /** Merged over the pace of an 8B model on one H100. */
  readonly pace?: Partial<Pace>
  /** How many sequences run at once; the next ones wait. @default 256 */
  readonly maxNumSeqs?: number
  /** Tokens of prompt and output together. @default 32768 */
  readonly maxModelLen?: number
  /** KV blocks of all sequences together. @default 27000, or more where one sequence needs more */
  readonly kvBlocks?: number
  /** Tokens a KV block. @default 16 */
  readonly blockSize?: number
  /** Sequences, running and waiting, from which on a request gets 503 (`--max-num-queued-reqs`). @default no limit */
  readonly maxQueuedRequests?: number
  /** Wanted as a bearer token on the paths that vLLM guards. @default none is wanted */
  readonly apiKey?: string
  /** Faults that every request may meet. */
  readonly faults?: readonly Fault[]
  /** Silence on a stream after which it gets a comment (`--sse-keep-alive-interval`). @default 0, never */
  readonly sseKeepAliveMs?: number
  /** How long running requests may go on at a shutdown (`--shutdown-timeout`). @default 0, all are aborted at once */
  readonly shutdownTimeoutMs?: number
}

/** With every default filled in. */
export interface Settings {
  readonly models: readonly string[]
  readonly seed: number
  readonly host: string
  readonly port: number
  readonly pace: Pace
  readonly maxNumSeqs: number
  readonly maxModelLen: number
  readonly kvBlocks: number
  readonly blockSize: number
  readonly maxQueuedRequests: number
  readonly apiKey: string | undefined
  readonly faults: readonly Fault[]
  readonly sseKeepAliveMs: number
  readonly shutdownTimeoutMs: number
}

/** An 8B model on an H100 with 80 GB: what the weights leave holds about 430,000 tokens. */
const DEFAULT_KV_BLOCKS = 27_000

/** @throws RangeError */
export function settle(options: SimOptions): Settings {
  const { models, maxModelLen = 32_768, blockSize = 16 } = options
  const blocksOfOne = Math.ceil(maxModelLen / blockSize)
  const kvBlocks = options.kvBlocks ?? Math.max(DEFAULT_KV_BLOCKS, blocksOfOne)
  if (models.length === 0) throw new RangeError('an engine serves at least one model')
  if (kvBlocks < blocksOfOne) {
    throw new RangeError(
      `one sequence of ${maxModelLen} tokens needs ${blocksOfOne} KV blocks, and there are ${kvBlocks}: ` +
        'raise kvBlocks or lower maxModelLen'
    )
  }
  return {
    models,
    maxModelLen,
    blockSize,
    kvBlocks,
    seed: options.seed ?? 0,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    pace: { ...DEFAULT_PACE, ...options.pace },
    maxNumSeqs: options.maxNumSeqs ?? 256,
    maxQueuedRequests: options.maxQueuedRequests ?? Number.POSITIVE_INFINITY,
    apiKey: options.apiKey,
    faults: options.faults ?? [],
    sseKeepAliveMs: options.sseKeepAliveMs ?? 0,
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? 0
  }
}
