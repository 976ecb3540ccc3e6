// `npm run bench:relay`: what relaying a token costs, the gateway beside nginx, no proxy and peer gateways, in one run.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { openLab } from './lab.ts'
import { describeMachine, type Machine } from './machine.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { endAll, pinned, pinSelf } from './processes.ts'
import { createProgress } from './progress.ts'
import { printDisturbance, printResults, printTargets, summarize } from './report.ts'
import { countSteps, type Outcome, type Plan, runRounds } from './rounds.ts'
import { createScenarios } from './scenarios/catalog.ts'
import { createSubjects, OURS } from './subjects/roster.ts'
import { judge } from './targets.ts'

const say = (lines: readonly string[]) => process.stdout.write(`${lines.join('\n')}\n`)

function fail(message: string): never {
  process.stderr.write(`bench:relay: ${message}\n`)
  process.exit(1)
}

function parseOptions(): Options {
  try {
    const options = readOptions(process.argv.slice(2))
    if (options !== 'help') return options
  } catch (cause) {
    fail((cause as Error).message)
  }
  process.stdout.write(USAGE)
  process.exit(0)
}

/** A quick run leaves out what it would have to install. */
function makePlan({ quick, rounds, only, subjects, lengths, profile }: Options): Plan {
  const chosen = createSubjects(profile && resolve(profile)).filter(({ name }) => subjects.includes(name))
  return {
    scenarios: createScenarios(lengths).filter(({ name }) => only.includes(name)),
    subjects: chosen.filter((subject) => !quick || !subject.peer || subject.installed()),
    rounds,
    quick
  }
}

function describe(plan: Plan, machine: Machine): string[] {
  const cores = pinned
    ? 'proxy on core 0, engine and load on core 1'
    : 'taskset or a second core is missing: NOT PINNED'
  return [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, load average ${machine.loadAverage}`,
    `${cores}; ${plan.rounds} interleaved round${plan.rounds === 1 ? '' : 's'}; median (min-max), ratios paired by round`,
    ...plan.subjects.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`)
  ]
}

function report(options: Options, plan: Plan, machine: Machine, { results, failures }: Outcome): void {
  const targets = judge(results, options.quick)
  say([
    ...describe(plan, machine),
    ...printResults(plan.scenarios, results),
    ...printDisturbance(results),
    ...printTargets(targets)
  ])
  if (failures.length > 0) say(['', 'left out:', ...failures.map((line) => `  ${line}`)])
  const { quick, rounds, lengths } = options
  const scenarios = summarize(plan.scenarios, results)
  const subjects = plan.subjects.map(({ name, about }) => ({ name, about }))
  const figures = { machine, pinned, quick, rounds, lengths, subjects, scenarios, targets, failures }
  mkdirSync(dirname(resolve(options.json)), { recursive: true })
  writeFileSync(options.json, `${JSON.stringify(figures, null, 1)}\n`)
  say(['', `figures: ${options.json}`])
}

process.on('exit', endAll)
const options = parseOptions()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
try {
  const machine = describeMachine()
  pinSelf()
  const plan = makePlan(options)
  const progress = createProgress(process.stderr, countSteps(plan))
  const outcome = await runRounds(plan, await openLab(), progress)
  progress.done()
  report(options, plan, machine, outcome)
  process.exit(outcome.failures.some((line) => line.startsWith(`${OURS}:`)) ? 1 : 0)
} catch (cause) {
  fail((cause as Error).message)
}
