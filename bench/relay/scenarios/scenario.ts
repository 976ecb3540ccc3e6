// What a scenario is: one kind of load, run on one subject at a time, and the figures that it yields.
import type { Lab, Window } from '../lab.ts'
import type { Target } from '../subjects/subject.ts'

/** The figures of one run, by column; what a subject can't have is left out. */
export type Sample = Readonly<Record<string, number | undefined>>

export interface Column {
  readonly key: string
  readonly title: string
  readonly digits: number
  /** `ratio` adds a column with the ratio to nginx, `added` one with the difference to no proxy. */
  readonly against?: 'ratio' | 'added'
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  /** Each run begins with a new process: what is measured must not depend on what ran before. */
  readonly fresh?: boolean
  /** Whether peers run it when time is short. */
  readonly peersInQuick?: boolean
  /** Whether it makes sense without a proxy. */
  readonly needsProxy?: boolean
  run(target: Target, lab: Lab): Promise<Sample>
}

/** How long things last. */
export interface Lengths {
  /** A window of measurement, in s. */
  readonly windowS: number
  /** Between the last stream's opening and the window. */
  readonly settleMs: number
  /** How long a reader stalls, in s. */
  readonly stallS: number
  /** How many idle streams memory is measured at, ascending. */
  readonly idleSteps: readonly number[]
}

/** How busy everything was. */
export const busyness = ({ proxyPercent, waitedPercent, harnessPercent }: Window): Sample => ({
  proxyPercent,
  waitedPercent,
  harnessPercent
})
export const BUSYNESS: readonly Column[] = [
  { key: 'proxyPercent', title: 'proxy %', digits: 0 },
  { key: 'waitedPercent', title: 'waited %', digits: 0 },
  { key: 'harnessPercent', title: 'harness %', digits: 0 }
]

/** A subject that can't sustain a load gets a part of it. */
export const scaled = (count: number, target: Target): number => Math.max(1, Math.round(count * target.scale))
