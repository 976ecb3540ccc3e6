// What the schemas of a stack's parts share: small schemas, and checks between fields.
import { z } from 'zod'
import { findImageProblem } from '../lib/image.ts'
import { type NameRule, OBJECT_NAME, SECRET_KEY } from '../lib/names.ts'

/** A string that follows a naming rule of Kubernetes. */
export const named = (rule: NameRule) => z.string().regex(rule.pattern, rule.message)

/** A key inside a Secret; the value never stands in a stack. */
export const secretKey = z.strictObject({ name: named(OBJECT_NAME), key: named(SECRET_KEY) })

/** A container image that names the same bytes tomorrow. */
export const image = z.string().superRefine((reference, context) => {
  const problem = findImageProblem(reference)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

/** A problem at a path below the object that is checked. */
export type Problem = readonly [path: readonly (string | number)[], message: string]

/**
 * Adds checks between the fields of an object that also run when one of its fields is wrong, so that a refusal names
 * every problem at once. `find` gets what was written and reads it through `pickValid`.
 */
export function crossCheck<T extends z.ZodType>(schema: T, find: (written: unknown) => readonly Problem[]): T {
  return schema.superRefine(
    (written, context) => {
      for (const [path, message] of find(written)) context.addIssue({ code: 'custom', path: [...path], message })
    },
    { when: () => true }
  )
}

/** The fields of an object that are valid by themselves, defaults filled in; a field that is wrong is left out. */
export function pickValid<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  written: unknown
): Partial<z.output<z.ZodObject<S>>> {
  const fields = typeof written === 'object' && written !== null ? (written as Readonly<Record<string, unknown>>) : {}
  const valid: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(schema.shape)) {
    const parsed = z.safeParse(field, fields[key])
    if (parsed.success && parsed.data !== undefined) valid[key] = parsed.data
  }
  return valid as Partial<z.output<z.ZodObject<S>>>
}
