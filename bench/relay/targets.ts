// What the gateway has to reach, and what it aims at; judged on the medians of the rounds.
import { pair, spreadOf } from './figures.ts'
import type { Results } from './rounds.ts'
import { FLOOR, OURS, YARDSTICK } from './subjects/roster.ts'

/** Against what a figure is taken, round by round: the ratio to nginx, or the difference to no proxy. */
type Against = 'ratio' | 'added' | 'itself'

interface Target {
  readonly title: string
  readonly scenario: string
  readonly key: string
  readonly against: Against
  readonly unit: keyof typeof DIGITS
  readonly must: number
  readonly aim: number | undefined
  /** True where more is better. */
  readonly atLeast: boolean
}

const DIGITS = { x: 2, ms: 3, KB: 1, MB: 2, '%': 2, tokens: 3 } as const

export interface Verdict {
  readonly title: string
  readonly must: string
  readonly aim: string
  readonly measured: string
  readonly verdict: 'aim reached' | 'pass' | 'MISS' | 'not measured' | 'harness too slow'
}

/** One line of the list below: where the figure is, its unit, what it must be and what it should be at most. */
function at(
  title: string,
  figure: `${string}.${string}`,
  against: Against,
  unit: Target['unit'],
  must: number,
  aim?: number
): Target {
  const [scenario = '', key = ''] = figure.split('.')
  // percentages are shares of what ought to arrive: more is better
  return { title, scenario, key, against, unit, must, aim, atLeast: unit === '%' }
}

const TARGETS: readonly Target[] = [
  at('CPU per token, 1000 x 20, against nginx', 'steady.cpuUsPerToken', 'ratio', 'x', 1.4, 1.2),
  at('CPU per token, 50,000 tokens/s, against nginx', 'heavy.cpuUsPerToken', 'ratio', 'x', 1.3, 1.15),
  at('delivered of 50,000 tokens/s', 'heavy.deliveredPercent', 'itself', '%', 99.5),
  at('added time to first token, p50', 'ttft.ttftP50Ms', 'added', 'ms', 0.35, 0.2),
  at('added time to first token, p99', 'ttft.ttftP99Ms', 'added', 'ms', 2, 1),
  at('added token delay at 10,000 tokens/s, p50', 'delay.delayP50Ms', 'added', 'ms', 0.15, 0.06),
  at('added token delay at 10,000 tokens/s, p99', 'delay.delayP99Ms', 'added', 'ms', 2.5, 1),
  at('CPU per request of one token, against nginx', 'requests.cpuUsPerRequest', 'ratio', 'x', 3, 2),
  at('resident memory per silent stream at 9,500', 'memory.kbAt9500', 'itself', 'KB', 18, 12),
  at('cancel to upstream closed, p50', 'cancel.closedP50Ms', 'itself', 'ms', 1, 0.3),
  at('cancel to upstream closed, p99', 'cancel.closedP99Ms', 'itself', 'ms', 10, 3),
  at('cancelled', 'cancel.cancelledPercent', 'itself', '%', 100),
  at('tokens after a cancel, at most', 'cancel.tokensAfterMax', 'itself', 'tokens', 1),
  at('tokens after a cancel, mean', 'cancel.tokensAfterMean', 'itself', 'tokens', 1, 0.01),
  at('9,500 clients leave at once: all closed within', 'memory.allClosedMs', 'itself', 'ms', 2_000, 1_000),
  at('memory growth behind a reader stalled for 10 s', 'stalled.peakMb', 'itself', 'MB', 3, 1)
]

/** Targets that only the full lengths measure as they are meant. */
const FULL_ONLY = new Set(['allClosedMs', 'peakMb'])
/** Below this the harness itself can't carry the load, and what is measured behind a proxy says nothing about the proxy. */
const DELIVERED_PERCENT = 99.5

/** Judges the gateway; in a quick run what needs full lengths counts as not measured. */
export const judge = (results: Results, quick: boolean): readonly Verdict[] =>
  TARGETS.map((target) => judgeOne(target, results, quick && FULL_ONLY.has(target.key)))

const valuesOf = (results: Results, subject: string, { scenario, key }: Pick<Target, 'scenario' | 'key'>) =>
  (results.get(scenario)?.get(subject) ?? []).map((sample) => sample?.[key])

function figureOf(target: Target, results: Results): number | undefined {
  const ours = valuesOf(results, OURS, target)
  if (target.against === 'itself') return spreadOf(ours)?.median
  const ratio = target.against === 'ratio'
  const others = valuesOf(results, ratio ? YARDSTICK : FLOOR, target)
  return spreadOf(pair(ours, others, (a, b) => (ratio ? a / b : a - b)))?.median
}

const harnessKeepsUp = ({ scenario }: Target, results: Results): boolean =>
  (spreadOf(valuesOf(results, FLOOR, { scenario, key: 'deliveredPercent' }))?.median ?? 100) >= DELIVERED_PERCENT

function judgeOne(target: Target, results: Results, skip: boolean): Verdict {
  const { title, unit, must, aim, atLeast } = target
  const measured = skip ? undefined : figureOf(target, results)
  const bound = (value: number | undefined) => (value === undefined ? '' : `${atLeast ? '>=' : '<='} ${value} ${unit}`)
  const keeps = (limit: number, value: number) => (atLeast ? value >= limit : value <= limit)
  const line = { title, must: bound(must), aim: bound(aim) }
  if (measured === undefined) return { ...line, measured: '', verdict: 'not measured' }
  const verdict = !harnessKeepsUp(target, results)
    ? 'harness too slow'
    : !keeps(must, measured)
      ? 'MISS'
      : aim !== undefined && keeps(aim, measured)
        ? 'aim reached'
        : 'pass'
  return { ...line, measured: `${measured.toFixed(DIGITS[unit])} ${unit}`, verdict }
}
