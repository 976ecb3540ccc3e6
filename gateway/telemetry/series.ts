// Counters and histograms that cost next to nothing to add to: a series is found by its label values, and nothing is copied.

/** One line of the exposition, as prom-client's registry writes it. */
interface Value {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** A metric as prom-client's registry renders it: the only two things that it asks of one. */
export interface Family<S> {
  readonly name: string
  get(): Promise<{ name: string; help: string; type: 'counter' | 'histogram'; values: Value[] }>
  /** The series with these values of the family's labels, in their order; it begins when it is first asked for. */
  series(...values: string[]): S
}

export interface FamilyOptions {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
}

export interface CounterSeries {
  add(amount: number): void
}

export interface HistogramSeries {
  observe(value: number): void
}

/** Separates label values in a key; no label value holds it. */
const BORDER = '\u0000'

interface Cell {
  readonly labels: Readonly<Record<string, string>>
}

/** The series of one family by their label values. */
class Cells<C extends Cell> {
  readonly #names: readonly string[]
  readonly #create: (labels: Readonly<Record<string, string>>) => C
  readonly #cells = new Map<string, C>()

  constructor(names: readonly string[], create: (labels: Readonly<Record<string, string>>) => C) {
    this.#names = names
    this.#create = create
  }

  get all(): C[] {
    return [...this.#cells.values()]
  }

  find(values: readonly string[]): C {
    let key = values[0] ?? ''
    for (let i = 1; i < values.length; i++) key += BORDER + values[i]
    const found = this.#cells.get(key)
    if (found !== undefined) return found
    const cell = this.#create(Object.fromEntries(this.#names.map((name, i) => [name, values[i] ?? ''])))
    this.#cells.set(key, cell)
    return cell
  }
}

class Count implements Cell, CounterSeries {
  readonly labels: Readonly<Record<string, string>>
  value = 0

  constructor(labels: Readonly<Record<string, string>>) {
    this.labels = labels
  }

  add(amount: number): void {
    this.value += amount
  }
}

class Distribution implements Cell, HistogramSeries {
  readonly labels: Readonly<Record<string, string>>
  readonly #bounds: readonly number[]
  /** How many values fell into each bucket alone; the last one has no bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels
    this.#bounds = bounds
    this.#counts = new Array(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sum += value
  }

  /** Prometheus' buckets are cumulative. */
  values(name: string): Value[] {
    let count = 0
    const buckets = this.#counts.map((inBucket, i) => {
      count += inBucket
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[i] ?? '+Inf', ...this.labels }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: this.labels, value: this.#sum },
      { metricName: `${name}_count`, labels: this.labels, value: count }
    ]
  }
}

export function createCounter({ name, help, labelNames }: FamilyOptions): Family<CounterSeries> {
  const cells = new Cells(labelNames, (labels) => new Count(labels))
  return {
    name,
    series: (...values) => cells.find(values),
    get: async () => ({
      name,
      help,
      type: 'counter',
      values: cells.all.map(({ labels, value }) => ({ labels, value }))
    })
  }
}

/** @param bounds the upper bounds of the buckets, rising; a bucket for all that is larger comes by itself */
export function createHistogram(options: FamilyOptions, bounds: readonly number[]): Family<HistogramSeries> {
  const { name, help, labelNames } = options
  const cells = new Cells(labelNames, (labels) => new Distribution(labels, bounds))
  return {
    name,
    series: (...values) => cells.find(values),
    get: async () => ({ name, help, type: 'histogram', values: cells.all.flatMap((cell) => cell.values(name)) })
  }
}
