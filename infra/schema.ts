// The schema of a stack: what an operator may write in stack.ts, and everything that is refused before a file is written.
import { z } from 'zod'
import { describeProblems } from '../gateway/contract.ts'
import { DNS_LABEL } from './lib/names.ts'
import { findConflicts } from './schema/conflicts.ts'
import { findEngineConflicts } from './schema/engine-conflicts.ts'
import { findMeetings, findNameProblems, findRegionProblems } from './schema/environments.ts'
import { findUnknownClusters, gitopsSchema } from './schema/gitops.ts'
import { modelSchema } from './schema/model.ts'
import { applyOverlay, type Overlay } from './schema/overlay.ts'
import { named } from './schema/parts.ts'
import { regionSchema } from './schema/region.ts'
import { findScalingConflicts } from './schema/scaling-conflicts.ts'
import { findSecretConflicts } from './schema/secret-references.ts'

const stackSchema = z.strictObject({
  /** Tells the objects of this stack from those of another one in the same cluster. */
  name: named(DNS_LABEL).default('sluice'),
  models: z.array(modelSchema).min(1).max(256),
  regions: z.array(regionSchema).min(1).max(64),
  gitops: gitopsSchema.exactOptional()
})

type PlainInput = z.input<typeof stackSchema>
/** A stack as a person writes it: what has a default may be left out. */
export interface StackInput extends PlainInput {
  /** What each environment, such as staging, has otherwise, by its name. Default: one set of regions, without a name. */
  readonly environments?: Readonly<Record<string, Overlay<PlainInput>>>
}
export type RegionInput = StackInput['regions'][number]
export type PlacementInput = RegionInput['placements'][number]
/** A checked stack, every default filled in. */
export type Stack = z.output<typeof stackSchema>
export type Region = Stack['regions'][number]
export type Placement = Region['placements'][number]
export type Model = Stack['models'][number]

/** A stack that is refused: every problem at once, each as `path: message`. */
export class StackError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the stack has ${problems.length} problem(s):\n${problems.join('\n')}`)
    this.name = 'StackError'
    this.problems = problems
  }
}

/** A checked stack under the name of its environment; without one where the stack has no environments. */
export interface Environment {
  readonly name?: string
  readonly stack: Stack
}

/**
 * Checks a stack, its environments left aside, and fills in its defaults.
 * @throws StackError with every problem; names are compared even where another field is wrong.
 */
export function parseStack(input: unknown): Stack {
  const { plain } = splitEnvironments(input)
  const parsed = stackSchema.safeParse(plain)
  const problems = [
    ...(parsed.success ? [] : describeProblems(parsed.error)),
    ...findConflicts(plain),
    ...findEngineConflicts(plain),
    ...findScalingConflicts(plain),
    ...findSecretConflicts(plain)
  ]
  if (!parsed.success || problems.length > 0) throw new StackError(problems)
  return parsed.data
}

/**
 * Checks a stack and each of its environments, in the order they are written.
 * @throws StackError with every problem of the stack itself, or else of all environments.
 */
export function parseEnvironments(input: unknown): Environment[] {
  const { plain, environments } = splitEnvironments(input)
  const stack = parseStack(plain)
  const findProblems = (one: Environment) => [
    ...findRegionProblems(one),
    ...findUnknownClusters(one.stack.gitops, stack.regions)
  ]
  if (environments === undefined) return refuseProblems([{ stack }], findProblems({ stack }))
  const names = Object.keys(environments)
  const problems = names.length === 0 ? ['environments: name at least one, or leave the field out'] : []
  problems.push(...findNameProblems(names))
  const parsed = names.flatMap((name): Environment[] => {
    const { value, problems: unmatched } = applyOverlay(plain, environments[name], `environments.${name}`)
    problems.push(...unmatched)
    try {
      return [{ name, stack: parseStack(value) }]
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      problems.push(...error.problems.map((problem) => `environments.${name}: ${problem}`))
      return []
    }
  })
  return refuseProblems(parsed, [...problems, ...parsed.flatMap(findProblems), ...findMeetings(parsed)])
}

function refuseProblems(environments: Environment[], problems: readonly string[]): Environment[] {
  if (problems.length > 0) throw new StackError(problems)
  return environments
}

function splitEnvironments(input: unknown): {
  plain: unknown
  environments: Readonly<Record<string, unknown>> | undefined
} {
  if (typeof input !== 'object' || input === null || !('environments' in input))
    return { plain: input, environments: undefined }
  const { environments, ...plain } = input
  if (typeof environments === 'object' && environments !== null && !Array.isArray(environments)) {
    return { plain, environments: environments as Readonly<Record<string, unknown>> }
  }
  throw new StackError(['environments: write an object, an environment by its name'])
}
