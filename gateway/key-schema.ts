// The schema of the file of API keys.
import { z } from 'zod'
import { modelNameSchema, tokenBoundSchema } from './contract.ts'

/** One API key. */
export const keySchema = z.strictObject({
  /** The key's public name: it stands in logs. */
  id: z.string().regex(/^[A-Za-z0-9._-]{1,63}$/, 'use letters, digits and ._- (at most 63)'),
  /** HMAC-SHA-256 of the key under the file's salt, in hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'use the 64 hex digits that `npm run keys` prints'),
  maxOutputTokens: tokenBoundSchema.optional(),
  /** Models that the key may use by name, restricted ones among them; without it, every unrestricted model. */
  models: z.array(modelNameSchema).min(1).max(256).optional()
})

const toKeyFileSchema = <T extends z.ZodType<z.output<typeof keySchema>>>(key: T) =>
  z.strictObject({
    /** At least 16 random bytes in base64; another file has another salt, so equal keys don't show. */
    salt: z.base64().min(24).max(128),
    keys: z
      .array(key)
      .max(100_000)
      .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, { error: 'two keys have the same id' })
  })

/** The file of API keys: hashes only, so whoever reads it learns no key. */
export const keyFileSchema = toKeyFileSchema(keySchema)
/** The same for a file each of whose keys was looked at before. */
export const keyFileFrameSchema = toKeyFileSchema(z.custom<z.output<typeof keySchema>>())
export type KeyFile = z.output<typeof keyFileSchema>
