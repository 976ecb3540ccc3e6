// The schema of a stack: what an operator may write in stack.ts, and everything that is refused before a file is written.
import { z } from 'zod'
import { describeProblems } from '../gateway/contract.ts'
import { findConflicts } from './schema/conflicts.ts'
import { modelSchema } from './schema/model.ts'
import { regionSchema } from './schema/region.ts'
import { findScalingConflicts } from './schema/scaling-conflicts.ts'

const stackSchema = z.strictObject({
  models: z.array(modelSchema).min(1).max(256),
  regions: z.array(regionSchema).min(1).max(64)
})

/** A stack as a person writes it: what has a default may be left out. */
export type StackInput = z.input<typeof stackSchema>
export type PlacementInput = StackInput['regions'][number]['placements'][number]
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

/**
 * Checks a stack and fills in its defaults.
 * @throws StackError with every problem; names are compared even where another field is wrong.
 */
export function parseStack(input: unknown): Stack {
  const parsed = stackSchema.safeParse(input)
  const problems = [
    ...(parsed.success ? [] : describeProblems(parsed.error)),
    ...findConflicts(input),
    ...findScalingConflicts(input)
  ]
  if (!parsed.success || problems.length > 0) throw new StackError(problems)
  return parsed.data
}
