// Builds PromQL from parts, so that a selector, a rate and a share are spelt the same way everywhere.

/** A matcher inside braces, as `is` and its kin make it. */
export type Matcher = string

export const is = (label: string, value: string): Matcher => `${label}=${JSON.stringify(value)}`
export const isNot = (label: string, value: string): Matcher => `${label}!=${JSON.stringify(value)}`
export const isOneOf = (label: string, values: readonly string[]): Matcher => `${label}=~"${values.join('|')}"`
export const isNoneOf = (label: string, values: readonly string[]): Matcher => `${label}!~"${values.join('|')}"`

/**
 * The bucket of a histogram whose upper bound is `seconds`. Prometheus 3 stores a whole number as `5.0`, Prometheus 2 as the
 * target wrote it, and an equality with either one matches nothing on the other.
 * https://prometheus.io/docs/prometheus/latest/migration/
 */
export const isBucket = (seconds: number): Matcher =>
  Number.isInteger(seconds) ? `le=~"${seconds}([.]0)?"` : is('le', String(seconds))

/** The series of `metric` that all matchers hold for. */
export const select = (metric: string, ...matchers: Matcher[]): string => `${metric}{${matchers.join(',')}}`

export const sum = (expression: string): string => `sum(${expression})`
export const min = (expression: string): string => `min(${expression})`
export const sumBy = (labels: readonly string[], expression: string): string =>
  `sum by (${labels.join(', ')}) (${expression})`

/** Per second, over a window such as `5m`. */
export const increase = (selector: string, window: string): string => `increase(${selector}[${window}])`
export const rate = (selector: string, window: string): string => `rate(${selector}[${window}])`

/** A quantile, 0 to 1, of a histogram's `_bucket` series, kept apart by `labels`. */
export const quantile = (q: number, labels: readonly string[], buckets: string, window: string): string =>
  `histogram_quantile(${q}, ${sumBy(['le', ...labels], rate(buckets, window))})`

/**
 * `part` of `whole`, 0 where there is a whole and no part: a counter that nothing has counted yet has no series, and a
 * share that is missing can't be told from one that is fine.
 */
export const share = (part: string, whole: string): string => `(${part} or ${whole} * 0) / ${whole}`

/** A number without the dust of binary fractions: 14.4 times 0.005 is 0.072. */
export const plain = (value: number): string => String(Number(value.toPrecision(6)))
