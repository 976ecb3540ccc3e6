// Reads PromQL and scrapes just far enough to tell which series an expression asks for, and which there are.

export interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

export interface Selector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
}

export interface Expression {
  readonly selectors: readonly Selector[]
  /** The labels of `by`, `on` and their kin. */
  readonly grouped: readonly string[]
}

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[A-Za-z_:][\w:]*|[\d.]+[a-z]*|[=!]~|!=|[<>=]=|[^\s]/g
const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const WORDS = new Set([
  'and',
  'or',
  'unless',
  'bool',
  'offset',
  'sum',
  'min',
  'max',
  'avg',
  'count',
  'topk',
  'quantile'
])
const NAME = /^[A-Za-z_:]/

/** @throws Error at a selector without a name, which would hide what it asks for */
export function readPromql(text: string): Expression {
  const tokens = (text.match(TOKEN) ?? []).filter((token) => token.trim() !== '')
  const selectors: Selector[] = []
  const grouped: string[] = []
  const until = (at: number, end: string) => tokens.slice(at, tokens.indexOf(end, at))
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? ''
    const next = tokens[at + 1]
    if (token === '{') throw new Error(`a selector without a name in ${text}`)
    if (!NAME.test(token)) continue
    if (GROUPING.has(token)) {
      const labels = until(at + 2, ')')
      grouped.push(...labels.filter((label) => label !== ','))
      at += labels.length + 2
    } else if (next !== '(' && !WORDS.has(token)) {
      const inside = next === '{' ? until(at + 2, '}') : []
      selectors.push({ metric: token, matchers: readMatchers(inside) })
      if (next === '{') at += inside.length + 2
    }
  }
  return { selectors, grouped }
}

function readMatchers(tokens: readonly string[]): Matcher[] {
  const matchers: Matcher[] = []
  for (let at = 0; at + 2 < tokens.length; at += 4) {
    const [label = '', operator = '', value = '""'] = tokens.slice(at, at + 3)
    matchers.push({ label, operator, value: JSON.parse(value) })
  }
  return matchers
}

/** The values of each label of each metric, by the metric's name on the wire. */
export type Scrape = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

/** Reads Prometheus' text format. */
export function readScrape(text: string): Scrape {
  const metrics = new Map<string, Map<string, Set<string>>>()
  for (const line of text.split('\n')) {
    const [, name, inside = ''] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const labels = metrics.get(name) ?? new Map<string, Set<string>>()
    metrics.set(name, labels)
    for (const [, label = '', value = ''] of inside.matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value))
    }
  }
  return metrics
}

/** Whether a matcher, taken for an equality or a pattern, has a value to match: one that is misspelt has none. */
export function hasValue({ operator, value }: Matcher, values: ReadonlySet<string>): boolean {
  if (operator === '=' || operator === '!=') return values.has(value)
  const pattern = new RegExp(`^(?:${value})$`)
  return [...values].some((one) => pattern.test(one))
}
