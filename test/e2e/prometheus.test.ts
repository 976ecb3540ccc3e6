// A real Prometheus over a real gateway and simulated engines, with the emitted rules and what the operator makes of the monitors.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, type OpenRequest, openChat } from '../helpers/client.ts'
import { MODEL, QUICK, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { isMissing } from '../helpers/program.ts'
import { PROMETHEUS, type Prometheus, startPrometheus, toScrapeConfig } from '../helpers/prometheus.ts'
import { readPromql } from '../helpers/promql.ts'
import { expressionsOf } from '../infra/expressions.ts'
import { find, type Manifest, manifestsOf, model, placement, region, stackOf, watched } from '../infra/stacks.ts'

const manifests = manifestsOf(
  stackOf({
    models: [model({ name: 'test', servedName: MODEL, loadSeconds: 300 })],
    regions: [
      watched({
        // a window here is seconds long
        monitoring: { ...watched().monitoring, thresholds: { minRequests: 3 } },
        gateway: { ...region().gateway, autoscaling: { maxReplicas: 4 } },
        placements: [placement({ model: 'test', autoscaling: { minReplicas: 1, maxReplicas: 4 } })]
      })
    ]
  })
)
const rules: Manifest = find(manifests, 'PrometheusRule', 'sluice').spec
const expressions = expressionsOf(manifests)
const isRule = ({ where }: { where: string }) => where.startsWith('rule ')

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const
/** So much faster runs the clock of the rules that have to fire here: a minute is half a second. */
const HASTE = 120
const shorten = (text: string) =>
  text.replace(/^(\d+)([smhd])$/, (_all, count, unit: keyof typeof SECONDS) => {
    return `${Math.max(1, Math.round((Number(count) * SECONDS[unit] * 1000) / HASTE))}ms`
  })

/** The emitted rules, those of days looked at as often as the others: a first look after two minutes is too late here. */
const emitted = {
  groups: rules.groups.map(({ interval: _interval, ...group }: Manifest) => group)
}

/** The same, every window and every `for` shortened. */
const hastened = {
  groups: emitted.groups.map((group: Manifest) => ({
    ...group,
    rules: group.rules.map((rule: Manifest) => ({
      ...rule,
      expr: rule.expr
        .replace(/\[(\w+)\]/g, (_all: string, window: string) => `[${shorten(window)}]`)
        .replace(/offset (\w+)/g, (_all: string, age: string) => `offset ${shorten(age)}`),
      ...(rule.for === undefined ? {} : { for: shorten(rule.for) })
    }))
  }))
}

const once = [{ kind: 'status', status: 503, times: 1 }] as const

/** Does `load` again and again while `work` runs: a counter that appears with its only burst has grown by nothing yet. */
async function during(load: () => unknown, everyMs: number, work: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => void load(), everyMs)
  await work().finally(() => clearInterval(timer))
}

describe.skipIf(
  isMissing(PROMETHEUS, 'tests in Prometheus', 'install Prometheus (Debian: apt-get install prometheus)')
)('in Prometheus', () => {
  let gateway: TestGateway
  /** With the rules as they are emitted, and with the hastened ones. */
  let plain: Prometheus
  let hasty: Prometheus
  const open: OpenRequest[] = []

  beforeAll(async () => {
    const engine = { faults: once, pace: { ...QUICK, interTokenMs: 20 }, maxNumSeqs: 2 }
    gateway = await startGateway({
      engines: [engine, engine],
      pool: { maxActivePerEngine: 2, maxQueued: 60, queueMs: 60_000 }
    })
    const monitor = (name: string) => find(manifests, 'PodMonitor', name)
    const scrapes = toScrapeConfig(
      [
        { monitor: monitor('gateway'), address: gateway.address, pod: 'gateway-1' },
        ...gateway.engines.map(({ url }, at) => ({
          monitor: monitor('engine-test'),
          address: url,
          pod: `engine-${at}`
        }))
      ],
      '250ms'
    )
    plain = await startPrometheus(scrapes, emitted, '1s')
    hasty = await startPrometheus(scrapes, hastened, '500ms')
  })
  afterAll(async () => {
    for (const one of open) one.leave()
    await Promise.all([plain, hasty, gateway].map((one) => one?.[Symbol.asyncDispose]()))
  })

  const stateOf = async (prometheus: Prometheus, alert: string) => {
    const states = (await prometheus.query(`ALERTS{alertname="${alert}"}`)).map(({ metric }) => metric.alertstate)
    return states.includes('firing') ? 'firing' : states[0]
  }
  const fires = (alert: string) =>
    until(`${alert} fires`, async () => (await stateOf(hasty, alert)) === 'firing', 40_000)
  const ask = (max_tokens: number) => {
    const request = openChat(gateway.address, { body: { stream: true, max_tokens, ignore_eos: true } })
    open.push(request)
    return request
  }

  it('is quiet while everybody is served', async () => {
    for (let round = 0; round < 8; round++)
      await (await chat(gateway.address, { body: { stream: true, max_tokens: 20 } })).text()
    await chat(gateway.address, { key: 'sk-nobody' })
    await until('something was recorded', async () => {
      return (await plain.query('model:sluice_requests_failed:ratio_rate5m')).length > 0
    })
    const firing = await plain.query('ALERTS{alertstate="firing"}')
    expect(firing.map(({ metric }) => metric.alertname)).toEqual([])
  })

  it('tells of readers that leave', async () => {
    const leaving = async () => {
      const request = ask(2_000)
      const response = await request.head
      response.once('data', request.leave)
    }
    await during(leaving, 300, async () => {
      await until('it is pending', async () => (await stateOf(plain, 'SluiceCancelledShare')) === 'pending')
      await fires('SluiceCancelledShare')
    })
  })

  it('tells of a queue that grows, and then of requests without room', async () => {
    const flood = () => {
      for (let extra = 0; extra < 20; extra++) ask(4_000)
    }
    const one = () => ask(4_000)
    await during(one, 250, () => fires('SluiceQueueGrowing'))
    await during(flood, 500, () => fires('SluiceRefusals'))
    expect(await gateway.metric('sluice_requests_total', { code: 'queue_full' })).toBeGreaterThan(0)
  })

  it('evaluates every rule without an error, as it is emitted and hastened', async () => {
    for (const prometheus of [plain, hasty]) {
      const isEvaluated = ({ health }: Manifest) => health !== 'unknown'
      await until('each rule was evaluated', async () => (await prometheus.rules()).every(isEvaluated))
      const evaluated = await prometheus.rules()
      expect(evaluated).toHaveLength(rules.groups.flatMap((group: Manifest) => group.rules).length)
      const bad = evaluated.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => [name, lastError])
      expect(bad).toEqual([])
    }
  })

  it('has the series of every selector, with the labels that targets, relabelings and rules leave', async () => {
    const selectors = new Set(
      expressions.flatMap(({ expr }) =>
        readPromql(expr).selectors.map(({ metric, matchers }) => {
          // A code is there once a request has ended with it, and not every code does here.
          const kept = matchers.filter(({ label }) => label !== 'code')
          return `${metric}{${kept.map(({ label, operator, value }) => `${label}${operator}${JSON.stringify(value)}`)}}`
        })
      )
    )
    expect(selectors.size).toBeGreaterThan(40)
    // a scrape that comes too late takes its target's series away, until the next one
    for (const selector of selectors)
      await until(`there is ${selector}`, async () => (await plain.query(selector)).length > 0)
  })

  it('answers every query of the dashboard with something, and of the autoscalers with one number', async () => {
    for (const { expr, where } of expressions.filter((expression) => !isRule(expression))) {
      const isOne = where.startsWith('ScaledObject')
      await until(`${where} answers`, async () => {
        const result = await plain.query(expr)
        return isOne ? result.length === 1 && Number(result[0]?.value[1]) >= 0 : result.length > 0
      })
    }
    const queued = expressions.find(({ where }) => where === 'ScaledObject engine-test: queued')
    await until('many are seen to wait', async () => {
      return Number((await plain.query(queued?.expr ?? ''))[0]?.value[1]) > 16
    })
  })

  it('tells of engines that do not answer, and of a pool without any', async () => {
    gateway.engines[0]?.setHealthy(false)
    await gateway.engines[1]?.close()
    await until('both are told of', async () => {
      const states = ['SluiceNoEngine', 'SluiceEngineDown', 'SluiceEngineStuck'].map((name) => stateOf(plain, name))
      return (await Promise.all(states)).every((state) => state === 'pending')
    })
    for (const alert of ['SluiceNoEngine', 'SluiceEngineDown', 'SluiceEngineStuck']) await fires(alert)
    const [alert] = await hasty.query('ALERTS{alertname="SluiceNoEngine"}')
    expect(alert?.metric).toMatchObject({ pool: 'test', region: 'eu-west', namespace: 'sluice', severity: 'critical' })
    const engines = gateway.engines.map(({ url }) => new URL(url).host).sort()
    await until('each of them is named', async () => {
      const down = await hasty.query('ALERTS{alertname="SluiceEngineDown",alertstate="firing"}')
      return String(down.map(({ metric }) => metric.endpoint).sort()) === String(engines)
    })
  })
})
