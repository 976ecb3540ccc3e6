// The schema of a model's LoRA adapters, each of which clients call as a model of its own.
import { z } from 'zod'
import { modelNameSchema, tokenBoundSchema } from '../../gateway/contract.ts'
import { isRepository } from '../lib/vllm-settings.ts'
import type { Problem } from './parts.ts'

export const adapterSchema = z.strictObject({
  /** The name that clients send as `model`. */
  name: modelNameSchema,
  /** A Hugging Face repository, or an absolute path in the engine's container. */
  source: z.string().regex(/^[A-Za-z0-9/][A-Za-z0-9._/-]*$/, 'use a Hugging Face repository or an absolute path'),
  /** The commit of the repository; vLLM alone takes the default branch, so a warmed cache has to hold it. */
  revision: z
    .string()
    .regex(/^[0-9a-f]{40}$/, 'use the 40 hex digits of a commit')
    .exactOptional(),
  /** The most output tokens of one request. Default: the model's. */
  maxOutputTokens: tokenBoundSchema.exactOptional(),
  /** A restricted adapter is there only for the API keys that name it. Default: as the model. */
  restricted: z.boolean().exactOptional()
})
export type Adapter = z.output<typeof adapterSchema>

interface AdaptedModel {
  readonly adapters?: readonly Adapter[]
  readonly settings: {
    readonly maxModelLen?: number
    readonly maxLoras?: number
    readonly maxLoraRank?: number
    readonly maxCpuLoras?: number
  }
}

/** Adapters that can't be loaded as they are written, and settings of adapters without one. */
export function findAdapterProblems({ adapters = [], settings }: AdaptedModel): Problem[] {
  const problems = adapters.flatMap(({ source, revision, maxOutputTokens }, index): Problem[] => {
    const found: Problem[] = []
    const path = ['adapters', index]
    if (!source.startsWith('/') && !isRepository(source)) {
      found.push([[...path, 'source'], `${source} is neither a repository, as org/name, nor an absolute path`])
    }
    if (source.startsWith('/') && revision !== undefined) {
      found.push([[...path, 'revision'], 'a path has no revisions; leave it out'])
    }
    const { maxModelLen } = settings
    if (maxOutputTokens !== undefined && maxModelLen !== undefined && maxOutputTokens > maxModelLen) {
      found.push([
        [...path, 'maxOutputTokens'],
        `${maxOutputTokens} exceeds the context, settings.maxModelLen ${maxModelLen}`
      ])
    }
    return found
  })
  if (adapters.length > 0) return problems
  for (const setting of ['maxLoras', 'maxLoraRank', 'maxCpuLoras'] as const) {
    if (settings[setting] !== undefined) {
      problems.push([['settings', setting], 'the model has no adapters; list them in adapters, or leave it out'])
    }
  }
  return problems
}
