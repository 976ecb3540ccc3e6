// The configuration of resumable streams: how long and how much is kept, who may watch, and where gateways share it.
import { z } from 'zod'

const count = (defaultValue: number, max: number) => z.int().min(1).max(max).default(defaultValue)
const MIB = 1_048_576

/** Bounds of resumable streams, each of one gateway process. */
export const streamLimits = {
  /** A running answer that nobody watches for so long is cancelled, and its engine freed. */
  replayGraceMs: z.int().min(100).max(86_400_000).default(30_000),
  /** A finished answer can be read again for so long, unless its place is needed. */
  retentionMs: z.int().min(1_000).max(86_400_000).default(300_000),
  /** How long a signed URL is good: as long as an answer may take, and a while for coming back. */
  urlMs: z.int().min(1_000).max(604_800_000).default(900_000),
  /** How long a browser's EventSource waits before it connects again: the stream's `retry:`. */
  retryMs: z.int().min(100).max(60_000).default(1_000),
  /** Events kept of one stream; the oldest are forgotten first. */
  maxEvents: count(65_536, 1_000_000),
  /** Bytes kept of one stream. */
  maxBytes: count(8 * MIB, 1_024 * MIB),
  /** Bytes kept of all streams together. */
  maxTotalBytes: count(128 * MIB, 65_536 * MIB),
  /** Streams that run or are kept. A finished one that nobody reads makes room; without one the next gets 429. */
  maxJournals: count(1_000, 100_000),
  /** The same for the streams of one API key. */
  maxJournalsPerKey: count(100, 100_000),
  /** Readers of one stream at the same time. */
  maxViewers: count(16, 10_000)
} as const

type StreamLimits = { readonly [K in keyof typeof streamLimits]: z.output<(typeof streamLimits)[K]> }

/** Bounds that can't hold beside each other, each at its field; one that is not given is left aside. */
export function findStreamLimitProblems(limits: Partial<StreamLimits>): [field: keyof StreamLimits, message: string][] {
  const atMost = [
    ['maxBytes', 'maxTotalBytes'],
    ['maxJournalsPerKey', 'maxJournals']
  ] as const
  return atMost.flatMap(([small, large]): [keyof StreamLimits, string][] => {
    const [a, b] = [limits[small], limits[large]]
    return a === undefined || b === undefined || a <= b
      ? []
      : [[small, `${small} (${a}) must be at most ${large} (${b})`]]
  })
}

/** How several gateways share one Redis. */
const redisSchema = z.strictObject({
  /**
   * A file with the `redis://` or `rediss://` URL; SLUICE_REDIS_URL of the environment comes first. With neither, streams
   * are kept in memory, and only the gateway that runs one can show it.
   */
  urlFile: z.string().min(1).optional(),
  /** What every key of this region begins with. */
  keyPrefix: z.string().min(1).max(64).default('sluice:'),
  /** A gateway that has not said for so long that it lives is taken for dead, and its streams end with an error. */
  lostMs: z.int().min(600).max(600_000).default(10_000)
})

export const streamsSchema = z
  .strictObject({
    ...streamLimits,
    /** A file with the key that signs URLs, 32 characters or more; without it each process has one of its own. */
    signingKeyFile: z.string().min(1).optional(),
    redis: redisSchema.prefault({})
  })
  .superRefine((limits, context) => {
    for (const [field, message] of findStreamLimitProblems(limits))
      context.addIssue({ code: 'custom', path: [field], message })
  })
