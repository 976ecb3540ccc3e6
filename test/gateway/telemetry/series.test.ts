// Our counters and histograms against prom-client's own: the same exposition to the byte.
import { Counter, Histogram, type Metric, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createCounter, createHistogram, type Family } from '../../../gateway/telemetry/series.ts'

const LABELS = ['model', 'code']
const NASTY = ['plain', '', 'a "quoted" one', 'back\\slash', 'two\nlines', 'a,b="c"}', '猫', '__proto__']
const options = { name: 'x_total', help: 'Says "what" it is,\nin two lines.', labelNames: LABELS }

function render<S>(family: Family<S>): Promise<string> {
  const registry = new Registry()
  registry.registerMetric(family as unknown as Metric)
  return registry.metrics()
}

describe('a counter', () => {
  it('is written as that of prom-client', async () => {
    const [ours, registry] = [createCounter(options), new Registry()]
    const theirs = new Counter({ ...options, registers: [registry] })
    for (const [model, code] of NASTY.flatMap((one) => NASTY.map((other) => [one, other] as const))) {
      for (const amount of [0, 1, 2.5, 1e21]) {
        ours.series(model, code).add(amount)
        theirs.inc({ model, code }, amount)
      }
    }
    expect(await render(ours)).toBe(await registry.metrics())
  })

  it('without a series has its name and help all the same', async () => {
    const registry = new Registry()
    new Counter({ ...options, registers: [registry] })
    expect(await render(createCounter(options))).toBe(await registry.metrics())
  })
})

describe('a histogram', () => {
  it('is written as that of prom-client, values at, between and beyond its bounds', async () => {
    const bounds = [0.005, 0.1, 1, 5]
    const [ours, registry] = [createHistogram({ ...options, name: 'x_seconds' }, bounds), new Registry()]
    const theirs = new Histogram({ ...options, name: 'x_seconds', buckets: bounds, registers: [registry] })
    for (const model of NASTY) {
      for (const value of [0, 1e-9, 0.005, 0.0050001, 0.1, 0.3, 1, 4.9, 5, 5.1, 1e9]) {
        ours.series(model, 'c').observe(value)
        theirs.observe({ model, code: 'c' }, value)
      }
    }
    expect(await render(ours)).toBe(await registry.metrics())
  })
})
