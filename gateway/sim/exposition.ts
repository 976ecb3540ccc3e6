// Prometheus' text format as Python's client writes it: labels in alphabetical order, numbers as floats.

export type Labels = Readonly<Record<string, string>>

export interface Family {
  /** For a counter without `_total`, which is added. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly series: readonly { readonly labels: Labels; readonly value: number }[]
}

/** Counts observations by size. */
export interface Histogram {
  observe(value: number): void
  /** The text of the whole family. */
  format(labels: Labels): string
}

const escapeLabel = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const formatLabels = (labels: Labels) =>
  Object.keys(labels)
    .sort()
    .map((name) => `${name}="${escapeLabel(labels[name] ?? '')}"`)
    .join(',')

const formatNumber = (value: number) => (Number.isInteger(value) ? `${value}.0` : String(value))

const formatHead = (name: string, help: string, type: string) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`

export function formatFamily({ name, help, type, series }: Family): string {
  const fullName = type === 'counter' ? `${name}_total` : name
  const lines = series.map(({ labels, value }) => `${fullName}{${formatLabels(labels)}} ${formatNumber(value)}\n`)
  return formatHead(fullName, help, type) + lines.join('')
}

/** @param buckets upper bounds, ascending, without the last one, which is infinite */
export function createHistogram(name: string, help: string, buckets: readonly number[]): Histogram {
  const counts = Array<number>(buckets.length + 1).fill(0)
  let sum = 0
  return {
    observe(value) {
      const bucket = buckets.findIndex((bound) => value <= bound)
      const at = bucket === -1 ? buckets.length : bucket
      counts[at] = (counts[at] ?? 0) + 1
      sum += value
    },
    format(labels) {
      let total = 0
      const lines = counts.map((count, at) => {
        total += count
        const bound = buckets[at]
        const le = bound === undefined ? '+Inf' : formatNumber(bound)
        return `${name}_bucket{${formatLabels({ ...labels, le })}} ${formatNumber(total)}\n`
      })
      const own = formatLabels(labels)
      const ends = `${name}_count{${own}} ${formatNumber(total)}\n${name}_sum{${own}} ${formatNumber(sum)}\n`
      return formatHead(name, help, 'histogram') + lines.join('') + ends
    }
  }
}
