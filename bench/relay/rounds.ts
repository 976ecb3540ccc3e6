// Runs the scenarios in interleaved rounds: each round takes every subject once, every second round in the opposite order.
import { setTimeout as sleep } from 'node:timers/promises'
import { clear, type Lab } from './lab.ts'
import { stop } from './processes.ts'
import type { Progress } from './progress.ts'
import type { Sample, Scenario } from './scenarios/scenario.ts'
import type { Subject, Target } from './subjects/subject.ts'

/** The samples of each scenario and subject, by round; a hole where a run failed. */
export type Results = Map<string, Map<string, (Sample | undefined)[]>>

export interface Plan {
  readonly scenarios: readonly Scenario[]
  readonly subjects: readonly Subject[]
  readonly rounds: number
  readonly quick: boolean
}

export interface Outcome {
  readonly results: Results
  /** What did not start or did not get through, and why: a line each. */
  readonly failures: readonly string[]
}

const TRIAL = { count: 3, mode: 'pace', rate: 50, tokens: 3, log: false, timeoutMs: 15_000 } as const
/** For the last events of a trial after its first ones. */
const TRIAL_MS = 200

/** Who takes part in a scenario. */
const partake = (scenario: Scenario, subject: Subject, { quick }: Plan): boolean =>
  !(scenario.needsProxy && subject.name === 'direct') && !(quick && subject.peer && !scenario.peersInQuick)

/** How many steps `runRounds` will report at most. */
export const countSteps = (plan: Plan): number =>
  plan.scenarios.reduce((sum, s) => sum + plan.subjects.filter((t) => partake(s, t, plan)).length, 0) * plan.rounds

/** Sees that a short stream gets through a subject that has started; stops it otherwise. */
async function tryOut(target: Target, lab: Lab): Promise<Target> {
  try {
    await lab.load.call('aim', target)
    await lab.load.call('open', TRIAL)
    await lab.engine.call('go')
    await sleep(TRIAL_MS)
    await lab.load.call('collect')
    await clear(lab)
    return target
  } catch (cause) {
    await lab.load.call('close')
    if (target.started !== undefined) await stop(target.started)
    throw new Error(`a short stream does not get through: ${(cause as Error).message}`)
  }
}

/** Everything that a run goes on with. */
interface Course {
  readonly plan: Plan
  readonly lab: Lab
  readonly progress: Progress
  readonly running: Map<Subject, Target>
  readonly fail: (line: string) => void
}

export async function runRounds(plan: Plan, lab: Lab, progress: Progress): Promise<Outcome> {
  const results: Results = new Map()
  const failures: string[] = []
  const fail = (line: string) => {
    failures.push(line)
    progress.note(line)
  }
  const course: Course = { plan, lab, progress, running: new Map(), fail }
  // all at once, for some take long; then one after the other
  const starts = await Promise.allSettled(plan.subjects.map((subject) => subject.start(lab.enginePort, progress.note)))
  for (const [i, subject] of plan.subjects.entries()) {
    try {
      const begun = starts[i] as PromiseSettledResult<Target>
      if (begun.status === 'rejected') throw begun.reason
      course.running.set(subject, await tryOut(begun.value, lab))
    } catch (cause) {
      fail(`${subject.name}: failed: ${(cause as Error).message}`)
    }
  }
  for (const scenario of plan.scenarios) results.set(scenario.name, await runScenario(scenario, course))
  for (const { started } of course.running.values()) if (started !== undefined) await stop(started)
  return { results, failures }
}

async function runScenario(scenario: Scenario, course: Course): Promise<Map<string, (Sample | undefined)[]>> {
  const { plan, running, progress, fail } = course
  const partakers = [...running.keys()].filter((subject) => partake(scenario, subject, plan))
  const rows = new Map(partakers.map(({ name }) => [name, Array<Sample | undefined>(plan.rounds).fill(undefined)]))
  for (let round = 0; round < plan.rounds; round++) {
    for (const subject of round % 2 === 0 ? partakers : partakers.toReversed()) {
      progress.step(`${scenario.name}, round ${round + 1}, ${subject.name}`)
      const row = rows.get(subject.name) as (Sample | undefined)[]
      // what failed once is not tried again: its time-outs would only hold up the others
      if (round > 0 && row[round - 1] === undefined) continue
      try {
        row[round] = await runOnce(scenario, subject, course)
      } catch (cause) {
        fail(`${subject.name}: ${scenario.name} failed in round ${round + 1}: ${(cause as Error).message}`)
      }
    }
  }
  return rows
}

async function runOnce(scenario: Scenario, subject: Subject, { running, lab, progress }: Course): Promise<Sample> {
  let target = running.get(subject) as Target
  const { started } = target
  if (started !== undefined && (scenario.fresh === true || started.child.exitCode !== null)) {
    await stop(started)
    target = await tryOut(await subject.start(lab.enginePort, progress.note), lab)
    running.set(subject, target)
  }
  await lab.load.call('aim', target)
  try {
    return await scenario.run(target, lab)
  } finally {
    await clear(lab)
  }
}
