// Medians, quantiles and the spread over rounds. Pure.

/** The value below which `share` of the sorted values lie (nearest rank); NaN of none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] as number
}

/** What several rounds say about one figure. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
}

/** The spread of the finite values; undefined where there are none. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values.filter((value): value is number => Number.isFinite(value)).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length / 2
  const median = ((sorted[Math.ceil(middle) - 1] as number) + (sorted[Math.floor(middle)] as number)) / 2
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number, rounds: sorted.length }
}

/** Joins two figures round by round, so that what slows the machine down for a while slows both. */
export function pair(
  left: readonly (number | undefined)[],
  right: readonly (number | undefined)[],
  join: (a: number, b: number) => number
): (number | undefined)[] {
  return left.map((a, round) => {
    const b = right[round]
    return a === undefined || b === undefined ? undefined : join(a, b)
  })
}
