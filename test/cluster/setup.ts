// Before the first test on a cluster: one line says which tiers run, and why the others don't.
import { findTiers } from './tiers.ts'

/** Called by vitest, once. */
export default function setup(): void {
  const told = findTiers().map(({ name, on, lacks }) =>
    lacks === undefined ? `${name} runs${on === undefined ? '' : ` on ${on}`}` : `${name} does not: ${lacks}`
  )
  process.stderr.write(`cluster tiers: ${told.join('; ')}\n`)
}
