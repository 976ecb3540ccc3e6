// The schema of a model cache: where weights are kept between starts, and whether they are there before the first.
import { z } from 'zod'
import { OBJECT_NAME } from '../lib/names.ts'
import { image, named } from './parts.ts'

/** What a cache that outlives its pods has to say of its warm-up. */
const warmUp = {
  /** True downloads the pinned commit once, before engines start; they then run offline and can't change the weights. */
  warmUp: z.boolean().default(false),
  /** Seconds that the download may take. */
  downloadSeconds: z.int().min(60).max(86_400).default(7200)
}

const accessMode = z.enum(['ReadWriteMany', 'ReadWriteOnce']).default('ReadWriteMany')

export const cacheSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('new-claim'),
    /** GiB: the weights, and as much again for the next revision. */
    sizeGiB: z.int().min(1).max(65_536),
    storageClassName: named(OBJECT_NAME).exactOptional(),
    accessMode,
    ...warmUp
  }),
  /** A claim that is there; `accessMode` is the one that it has. */
  z.strictObject({ kind: z.literal('claim'), claimName: named(OBJECT_NAME), accessMode, ...warmUp }),
  z.strictObject({
    kind: z.literal('host-path'),
    path: z.string().regex(/^\/(?!.*(^|\/)\.\.(\/|$)).+/, 'use an absolute path without ..'),
    sizeGiB: z.int().min(1).max(65_536).default(500),
    ...warmUp
  }),
  z.strictObject({ kind: z.literal('empty-dir'), sizeGiB: z.int().min(1).max(65_536) }),
  z.strictObject({
    kind: z.literal('oci-image'),
    /** An image or artifact whose root holds the weights; the model is then `/models`, or a folder below it. */
    reference: image,
    /** GiB for what the engine compiles, which ends with its pod. */
    sizeGiB: z.int().min(1).max(65_536).default(20)
  })
])
