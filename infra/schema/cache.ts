// The schema of a model cache: where weights are kept between starts.
import { z } from 'zod'
import { OBJECT_NAME } from '../lib/names.ts'
import { named } from './parts.ts'

export const cacheSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('new-claim'),
    /** GiB: the weights, and as much again for the next revision. */
    sizeGiB: z.int().min(1).max(65_536),
    storageClassName: named(OBJECT_NAME).exactOptional(),
    accessMode: z.enum(['ReadWriteMany', 'ReadWriteOnce']).default('ReadWriteMany')
  }),
  z.strictObject({ kind: z.literal('claim'), claimName: named(OBJECT_NAME) }),
  z.strictObject({
    kind: z.literal('host-path'),
    path: z.string().regex(/^\/(?!.*(^|\/)\.\.(\/|$)).+/, 'use an absolute path without ..'),
    sizeGiB: z.int().min(1).max(65_536).default(500)
  }),
  z.strictObject({ kind: z.literal('empty-dir'), sizeGiB: z.int().min(1).max(65_536) })
])
