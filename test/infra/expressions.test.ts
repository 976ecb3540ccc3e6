// No expression asks for a series that nobody has: every name and label in them is held against a real scrape.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { METRICS } from '../../gateway/contract.ts'
import { type ErrorCode, GatewayError } from '../../gateway/errors.ts'
import { PROCESS_METRICS } from '../../infra/lib/gateway-metrics.ts'
import { VLLM_LABELS, VLLM_METRICS } from '../../infra/lib/vllm-metrics.ts'
import { chat, openChat } from '../helpers/client.ts'
import { MODEL, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { hasValue, readPromql, readScrape, type Scrape, type Selector } from '../helpers/promql.ts'
import { expressionsOf, rulesOf } from './expressions.ts'
import { manifestsOf, model, placement, region, stackOf, watched } from './stacks.ts'

/** What Prometheus itself puts on every series of a pod; `endpoint` the monitors drop. */
const TARGET_LABELS = ['namespace', 'pod', 'container', 'job', 'instance']

const once = [{ kind: 'status', status: 503, times: 1 }] as const
const manifests = manifestsOf(
  stackOf({
    models: [model({ name: 'test', servedName: MODEL, loadSeconds: 300 }), model({ name: 'zero', loadSeconds: 300 })],
    regions: [
      watched({
        gateway: { ...region().gateway, autoscaling: { maxReplicas: 4 } },
        placements: [
          placement({ model: 'test', autoscaling: { minReplicas: 1, maxReplicas: 4 } }),
          placement({ model: 'zero', autoscaling: { minReplicas: 0, maxReplicas: 4 } })
        ]
      })
    ]
  })
)
const expressions = expressionsOf(manifests)

/** One of each ending, so that every series is there: whole, retried and failed, cancelled, refused. */
async function drive(gateway: TestGateway): Promise<void> {
  await (await chat(gateway.address, { body: { stream: true, max_tokens: 8 } })).text()
  await (await chat(gateway.address, { body: { stream: true, max_tokens: 8 } })).text()
  await chat(gateway.address, { key: 'sk-nobody' })
  const open = openChat(gateway.address, { body: { stream: true, max_tokens: 5_000, ignore_eos: true } })
  const response = await open.head
  await new Promise((resolve) => response.once('data', resolve))
  open.leave()
  await until('it is counted', async () => (await gateway.metric(METRICS.requests, { outcome: 'client_gone' })) === 1)
}

let gateway: TestGateway
let gatewayScrape: Scrape
let engineScrape: Scrape
beforeAll(async () => {
  gateway = await startGateway({ engines: [{ faults: once }, { faults: once }] })
  await drive(gateway)
  const scrape = async (address = '') => readScrape(await (await fetch(`${address}/metrics`)).text())
  gatewayScrape = await scrape(gateway.address)
  engineScrape = await scrape(gateway.engines[0]?.url)
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** The labels of a metric and what is known of their values; undefined for one that nobody has. */
function seriesOf(metric: string): ReadonlyMap<string, ReadonlySet<string> | undefined> | undefined {
  const target = TARGET_LABELS.map((label) => [label, undefined] as const)
  if (metric === 'up') return new Map(target)
  const scraped = gatewayScrape.get(metric) ?? engineScrape.get(metric)
  if (scraped !== undefined) return new Map([...target, ...scraped])
  const rule = rulesOf(manifests).find(({ record }) => record === metric)
  if (rule === undefined) return undefined
  return new Map([...readPromql(rule.expr).grouped, ...Object.keys(rule.labels)].map((label) => [label, undefined]))
}

function findProblems({ metric, matchers }: Selector): string[] {
  const series = seriesOf(metric)
  if (series === undefined) return [`there is no ${metric}`]
  return matchers.flatMap((matcher) => {
    const { label, value } = matcher
    if (!series.has(label)) return [`${metric} has no label ${label}`]
    const values = series.get(label)
    if (label === 'code')
      return value
        .split('|')
        .filter((code) => !isErrorCode(code))
        .map((code) => `no code ${code}`)
    // The second model is there for the expressions of a pool that may be empty, and is served by nobody here.
    if (values === undefined || ['zero', model().servedName].includes(value)) return []
    return hasValue(matcher, values) ? [] : [`${metric} has no ${label} like ${value}, but ${[...values]}`]
  })
}

/** The table of codes throws at one that is not in it. */
function isErrorCode(code: string): boolean {
  try {
    return new GatewayError(code as ErrorCode).status > 0
  } catch {
    return false
  }
}

function problemsOf(expr: string): string[] {
  const { selectors, grouped } = readPromql(expr)
  const labels = new Set(selectors.flatMap(({ metric }) => [...(seriesOf(metric)?.keys() ?? [])]))
  return [
    ...selectors.flatMap(findProblems),
    ...grouped.filter((label) => label !== 'le' && !labels.has(label)).map((label) => `nothing has the label ${label}`)
  ]
}

describe('every expression of rules, dashboard and autoscalers', () => {
  it('is found', () => {
    const places = expressions.map(({ where }) => where.split(' ')[0])
    for (const place of ['rule', 'dashboard', 'ScaledObject']) expect(places).toContain(place)
    expect(expressions.length).toBeGreaterThan(80)
  })

  it('asks for series, labels and values that gateway and engine really have', () => {
    const problems = expressions.flatMap(({ where, expr }) => problemsOf(expr).map((problem) => `${where}: ${problem}`))
    expect(problems).toEqual([])
  })

  it('asks for something, in its own namespace, and for whole numbers in either spelling', () => {
    for (const { where, expr } of expressions) {
      const { selectors } = readPromql(expr)
      expect(selectors.length, where).toBeGreaterThan(0)
      for (const { metric, matchers } of selectors) {
        expect(matchers, `${where}: ${metric}`).toContainEqual({ label: 'namespace', operator: '=', value: 'sluice' })
        for (const { label, operator, value } of matchers) {
          if (label === 'le' && operator === '=')
            expect(Number.isInteger(Number(value)), `${where}: ${value}`).toBe(false)
        }
      }
    }
  })

  it('sums histograms by their bounds', () => {
    for (const { where, expr } of expressions.filter((one) => one.expr.includes('histogram_quantile'))) {
      expect(expr, where).toMatch(/^histogram_quantile\([\d.]+, sum by \(le, \w+\) \(rate\(/)
    }
  })
})

describe('the check of expressions', () => {
  it.each([
    ['sum(vllm:num_requests_waiting{model="x"})', 'vllm:num_requests_waiting has no label model'],
    ['sum(vllm:gpu_cache_usage_perc)', 'there is no vllm:gpu_cache_usage_perc'],
    ['sum by (modell) (vllm:num_requests_waiting)', 'nothing has the label modell'],
    ['sluice_requests_total{outcome="cancelled"}', 'sluice_requests_total has no outcome like cancelled, but'],
    ['sluice_requests_total{code=~"queue_full|queue_empty"}', 'no code queue_empty'],
    ['rate(gen_ai_server_time_to_first_token_seconds_bucket{le="3"}[5m])', 'has no le like 3, but'],
    ['model:sluice_requests_failed:ratio_rate7m > 1', 'there is no model:sluice_requests_failed:ratio_rate7m']
  ])('finds what is wrong in %s', (expr, problem) => {
    expect(problemsOf(expr)).toEqual([expect.stringContaining(problem)])
  })
})

describe('the tables of metrics', () => {
  const has = (scrape: Scrape, name: string) => scrape.has(name) || scrape.has(`${name}_bucket`)

  it('name what the engine prints, each with the labels that it prints', () => {
    for (const [key, name] of Object.entries(VLLM_METRICS)) {
      expect(has(engineScrape, name), `${key}: ${name}`).toBe(true)
      const labels = engineScrape.get(name) ?? engineScrape.get(`${name}_bucket`)
      expect(labels?.get(VLLM_LABELS.model), name).toEqual(new Set([MODEL]))
      expect(labels?.has(VLLM_LABELS.engine), name).toBe(true)
    }
  })

  it('name what the gateway prints', () => {
    for (const name of [...Object.values(METRICS), ...Object.values(PROCESS_METRICS)]) {
      expect(has(gatewayScrape, name), name).toBe(true)
    }
  })
})
