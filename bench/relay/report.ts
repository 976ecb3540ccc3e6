// What the bench prints: one table with a block for each scenario, and the targets. Pure.
import { pair, type Spread, spreadOf } from './figures.ts'
import type { Results } from './rounds.ts'
import type { Column, Sample, Scenario } from './scenarios/scenario.ts'
import { FLOOR, YARDSTICK } from './subjects/roster.ts'
import type { Verdict } from './targets.ts'

/** A proxy alone on its core waits for kernel threads and its own helpers only. */
const QUIET_PERCENT = 5

type Rows = ReadonlyMap<string, readonly (Sample | undefined)[]>

/** One figure over the rounds: `18.8 (18.4-20.0)`; the range only where there was more than one round. */
function show(spread: Spread | undefined, digits: number, prefix = ''): string {
  if (spread === undefined) return '-'
  const text = `${prefix}${spread.median.toFixed(digits)}`
  return spread.rounds === 1 ? text : `${text} (${spread.min.toFixed(digits)}-${spread.max.toFixed(digits)})`
}

const valuesOf = (rows: Rows, subject: string, key: string) => (rows.get(subject) ?? []).map((sample) => sample?.[key])

/** The spread of a column against nginx or no proxy, round by round. */
export function compare(rows: Rows, subject: string, { key, against }: Column): Spread | undefined {
  const [other, join] =
    against === 'ratio' ? [YARDSTICK, (a: number, b: number) => a / b] : [FLOOR, (a: number, b: number) => a - b]
  if (subject === other || (against === 'ratio' && subject === FLOOR)) return undefined
  return spreadOf(pair(valuesOf(rows, subject, key), valuesOf(rows, other, key), join))
}

function cellsOf(rows: Rows, subject: string, columns: readonly Column[]): string[] {
  return columns.flatMap((column) => {
    const figure = show(spreadOf(valuesOf(rows, subject, column.key)), column.digits)
    if (column.against === undefined) return [figure]
    const ratio = column.against === 'ratio'
    return [figure, show(compare(rows, subject, column), ratio ? 2 : column.digits, ratio ? 'x' : '')]
  })
}

const titlesOf = (columns: readonly Column[]): string[] =>
  columns.flatMap(({ title, against }) =>
    against === undefined ? [title] : [title, against === 'ratio' ? 'x nginx' : 'added']
  )

/** A subject that was given a part of the load says so. */
function labelOf(subject: string, scenario: Scenario, samples: readonly (Sample | undefined)[]): string {
  const streams = samples.find((sample) => sample?.streams !== undefined)?.streams
  return streams === undefined || scenario.title.startsWith(`${streams} `) ? subject : `${subject}, ${streams} streams`
}

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
function align(lines: readonly (readonly string[])[]): string[] {
  const widths = lines.reduce<number[]>(
    (most, cells) => cells.map((cell, i) => Math.max(most[i] ?? 0, cell.length)),
    []
  )
  return lines.map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart((widths[i] ?? 0) + 2)))
      .join('')
      .trimEnd()
  )
}

function printScenario(scenario: Scenario, rows: Rows): string[] {
  const { columns, title, name } = scenario
  const lines = [...rows].map(([subject, samples]) => [
    `  ${labelOf(subject, scenario, samples)}`,
    ...cellsOf(rows, subject, columns)
  ])
  return ['', `${name}: ${title}`, ...align([['', ...titlesOf(columns)], ...lines])]
}

/** The whole table. */
export const printResults = (scenarios: readonly Scenario[], results: Results): string[] =>
  scenarios.flatMap((scenario) => printScenario(scenario, results.get(scenario.name) ?? new Map()))

/** How much others got in the way, and what that means. */
export function printDisturbance(results: Results): string[] {
  const samples = [...results.values()].flatMap((rows) => [...rows.values()].flat())
  const waited = spreadOf(samples.map((sample) => sample?.waitedPercent))
  if (waited === undefined) return []
  const line = `proxies waited for their core ${waited.median.toFixed(0)} % of the time, at most ${waited.max.toFixed(0)} %`
  const quiet = waited.median < QUIET_PERCENT
  return ['', quiet ? line : `${line}: OTHER PROGRAMS RAN MEANWHILE, delays and CPU times are theirs, too`]
}

export const printTargets = (verdicts: readonly Verdict[]): string[] => [
  '',
  ...align([
    ['targets of the gateway', 'must', 'aim', 'measured', ''],
    ...verdicts.map(({ title, must, aim, measured, verdict }) => [`  ${title}`, must, aim, measured, verdict])
  ])
]

/** The spreads of all figures and comparisons, for the JSON. */
export function summarize(scenarios: readonly Scenario[], results: Results) {
  return scenarios.map(({ name, title, columns }) => {
    const rows: Rows = results.get(name) ?? new Map()
    const subjects = [...rows].map(([subject, samples]) => ({
      subject,
      samples,
      figures: Object.fromEntries(columns.map(({ key }) => [key, spreadOf(valuesOf(rows, subject, key))])),
      comparisons: Object.fromEntries(
        columns.flatMap((column) =>
          column.against === undefined ? [] : [[`${column.key}:${column.against}`, compare(rows, subject, column)]]
        )
      )
    }))
    return { name, title, subjects }
  })
}
