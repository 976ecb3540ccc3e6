// The bench's command line.
import { parseArgs } from 'node:util'
import { fileLimit } from './machine.ts'
import { scenarioNames } from './scenarios/catalog.ts'
import type { Lengths } from './scenarios/scenario.ts'
import { subjectNames } from './subjects/roster.ts'

export interface Options {
  readonly quick: boolean
  readonly rounds: number
  readonly only: readonly string[]
  readonly subjects: readonly string[]
  readonly json: string
  readonly profile: string | undefined
  readonly lengths: Lengths
}

export const USAGE = `usage: npm run bench:relay -- [options]

Measures what relaying costs, side by side in one run, and checks the gateway against its targets.

  --quick          under 2 minutes: one round, short windows; peers only if installed, and only two scenarios of theirs
  --rounds N       how many interleaved rounds (default 5)
  --only a,b       scenarios: ${scenarioNames.join(', ')}
  --subjects a,b   subjects: ${subjectNames.join(', ')}
  --json PATH      where the figures go (default .cache/bench/relay.json)
  --profile DIR    have the gateway leave CPU profiles there; its figures are then no longer comparable
  --help
`

const MOST_ROUNDS = 100
/** A proxy holds two descriptors a stream, and some for itself. */
const SPARE_FILES = 500

const FULL: Lengths = { windowS: 5, settleMs: 1_500, stallS: 10, idleSteps: [1_000, 5_000, 9_500] }
const QUICK: Lengths = { windowS: 1, settleMs: 400, stallS: 2, idleSteps: [1_000] }

/** Reads the arguments; throws an error with one line for a person. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  const quick = values.quick ?? false
  const rounds = values.rounds === undefined ? (quick ? 1 : 5) : Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS)
    throw new Error(`--rounds must be a whole number from 1 to ${MOST_ROUNDS}, not "${values.rounds}"`)
  const lengths = quick ? QUICK : FULL
  const mostStreams = Math.floor((fileLimit() - SPARE_FILES) / 2)
  return {
    quick,
    rounds,
    only: readNames('--only', values.only, scenarioNames),
    subjects: readNames('--subjects', values.subjects, subjectNames),
    json: values.json ?? '.cache/bench/relay.json',
    profile: values.profile,
    lengths: { ...lengths, idleSteps: lengths.idleSteps.filter((step) => step <= mostStreams) }
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        subjects: { type: 'string' },
        json: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', short: 'h' }
      }
    })
  } catch (cause) {
    // Node's own message goes on with advice that does not apply here
    throw new Error(`${(cause as Error).message.split('. ')[0]}; --help lists the options`)
  }
}

function readNames(flag: string, given: string | undefined, known: readonly string[]): readonly string[] {
  if (given === undefined) return known
  const names = given.split(',').filter(Boolean)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined || names.length === 0)
    throw new Error(`${flag}: "${unknown ?? given}" is none of ${known.join(', ')}`)
  return known.filter((name) => names.includes(name))
}
