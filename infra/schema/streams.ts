// The schema of a region's resumable streams: their bounds, and the Redis through which its gateways share them.
import { z } from 'zod'
import { findStreamLimitProblems, streamLimits } from '../../gateway/contract.ts'
import { peer } from './network.ts'
import { crossCheck, type Problem, pickValid, secretKey } from './parts.ts'

const redis = z.strictObject({
  /** The Secret with the `redis://` or `rediss://` URL; it may hold a password. */
  urlSecret: secretKey,
  /** Where it runs: the gateways may connect to it there. */
  at: peer,
  port: z.int().min(1).max(65_535).default(6379),
  /** What every key begins with, where regions share one Redis. */
  keyPrefix: z.string().min(1).max(64).exactOptional(),
  /** A gateway that is silent for so long is taken for dead. */
  lostMs: z.int().min(600).max(600_000).exactOptional()
})

const limits = z.strictObject(streamLimits)

const shape = limits.partial().extend({
  /** The Secret with the key that signs URLs, 32 characters or more. */
  signingKeySecret: secretKey.exactOptional(),
  /** Without it each gateway keeps its streams in memory, and only that one can show them. */
  redis: redis.exactOptional()
})

/** Resumable streams: bounds beside the gateway's own defaults, and gateways that have to accept each other's URLs. */
export const streamsSchema = crossCheck(shape, (written) => {
  const { signingKeySecret, redis } = pickValid(shape, written)
  const problems = findStreamLimitProblems(pickValid(limits, written)).map(([field, why]): Problem => [[field], why])
  if (redis === undefined || signingKeySecret !== undefined) return problems
  return [
    ...problems,
    [['signingKeySecret'], 'is missing; gateways that share a Redis must sign URLs with one key, so name its Secret']
  ]
})
export type Streams = z.output<typeof streamsSchema>
