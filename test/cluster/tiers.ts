// Which tiers of a real Kubernetes can run on this machine, and why the others can't.
import { GO } from './harness/programs.ts'

/** A tier and, where it can't run, what it lacks and the remedy. */
export interface Tier {
  readonly name: 'api' | 'scheduling' | 'running'
  readonly lacks?: string
}

const NO_GO = 'no Go to build Kubernetes with: install Go 1.26'

/** Looks at the machine; starts nothing. */
export function findTiers(): readonly Tier[] {
  const build = GO === undefined ? { lacks: NO_GO } : {}
  return [
    { name: 'api', ...build },
    { name: 'scheduling', ...build }
  ]
}

/**
 * Whether a tier's tests are to be skipped. Where CI=true nothing is: a tier that can't run fails there.
 * @param name of the tier
 */
export function isSkipped(name: Tier['name']): boolean {
  return process.env.CI !== 'true' && findTiers().some((tier) => tier.name === name && tier.lacks !== undefined)
}
