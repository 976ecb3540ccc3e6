// The schema of a region's exceptions from the Pod Security standard `restricted`, each with its reason.
import { z } from 'zod'
import { ENGINE_NAME } from '../lib/names.ts'
import { levelOf, POD_NEEDS, type PodNeed, type PodSecurityLevel } from '../lib/pod-security.ts'
import { named, type Problem } from './parts.ts'

const exceptionSchema = z.strictObject({
  /** The model whose engines need it; a gateway needs nothing. */
  model: named(ENGINE_NAME),
  need: z.enum(POD_NEEDS),
  /** Why, for whoever reviews it; printed at every synth. */
  reason: z.string().trim().min(10, 'say why in a sentence, for whoever reviews it')
})
export type PodSecurityException = z.output<typeof exceptionSchema>

export const podSecurityExceptionsSchema = z.array(exceptionSchema).max(256).default([])

interface Region {
  readonly placements: readonly { readonly model: string }[]
  readonly podSecurityExceptions: readonly PodSecurityException[]
}

/** What the engines of `model` need beyond `restricted`. */
export function needsOf({ podSecurityExceptions }: Pick<Region, 'podSecurityExceptions'>, model: string): PodNeed[] {
  return podSecurityExceptions.filter((exception) => exception.model === model).map(({ need }) => need)
}

/** The standard that the region's namespace can enforce: a namespace has one for all of its pods. */
export function enforcedLevelOf({ podSecurityExceptions }: Pick<Region, 'podSecurityExceptions'>): PodSecurityLevel {
  return levelOf(podSecurityExceptions.map(({ need }) => need))
}

/** Exceptions for models that the region does not place, and those that stand twice. */
export function findExceptionProblems({ podSecurityExceptions = [], placements }: Partial<Region>): Problem[] {
  return podSecurityExceptions.flatMap(({ model, need }, index): Problem[] => {
    const path = ['podSecurityExceptions', index] as const
    const first = podSecurityExceptions.findIndex((other) => other.model === model && other.need === need)
    if (first !== index) return [[path, `podSecurityExceptions[${first}] gives ${model} ${need} already`]]
    if (placements === undefined || placements.some((placement) => placement.model === model)) return []
    return [[[...path, 'model'], `${model} is not placed in this region; leave the exception out`]]
  })
}
