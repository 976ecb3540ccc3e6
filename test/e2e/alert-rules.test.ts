// Each alert by promtool, on the rules as they are emitted: it fires on what it is about, and is silent on a good day.
import { describe, expect, it } from 'vitest'
import { isMissing } from '../helpers/program.ts'
import { PROMTOOL, runPromtool } from '../helpers/prometheus.ts'
import { find, type Manifest, manifestsOf, model, placement, stackOf, watched } from '../infra/stacks.ts'

const MODEL = 'llama-3.1-8b-instruct'
const OTHER = 'other'
const rulesWith = (placed: object): Manifest =>
  find(
    manifestsOf(
      stackOf({
        models: [
          model({ loadSeconds: 300, settings: { model: 'org/model', revision: 'a'.repeat(40) } }),
          model({ name: OTHER, servedName: OTHER, loadSeconds: 300 })
        ],
        regions: [
          watched({
            placements: [
              placement(placed),
              placement({ model: OTHER, autoscaling: { minReplicas: 0, maxReplicas: 2 } })
            ]
          })
        ]
      })
    ),
    'PrometheusRule',
    'sluice'
  ).spec
const rules = rulesWith({})

/** A series and its values, a minute apart, in promtool's notation. */
type Series = readonly [series: string, values: string]

const gateway = 'namespace="sluice",pod="gateway-1",job="sluice/gateway"'
const engine = `namespace="sluice",pod="engine-1",job="sluice/engine-llama",engine="0",model_name="${MODEL}"`
const requests = (outcome: string, code = '') =>
  `sluice_requests_total{${gateway},gen_ai_request_model="${MODEL}",outcome="${outcome}",code="${code}"}`
const attempts = (address: string, result: string) =>
  `sluice_engine_attempts_total{${gateway},pool="llama",endpoint="${address}:8000",result="${result}"}`
const engineUp = (address: string) => `sluice_engine_up{${gateway},pool="llama",endpoint="${address}:8000"}`
const duration = (suffix: string, le = '') =>
  `gen_ai_server_request_duration_seconds_${suffix}{${gateway},gen_ai_request_model="${MODEL}",error_type="client_gone"${le}}`
const firstToken = (suffix: string, le = '') =>
  `gen_ai_server_time_to_first_token_seconds_${suffix}{${gateway},gen_ai_request_model="${MODEL}"${le}}`

/** Beyond the longest `for`: three hours of the slowest burn, and a quarter of an hour of anything else. */
const LONG_HOURS = 4
const SHORT_HOURS = 1
const MINUTES = LONG_HOURS * 60
const steady = (perMinute: number) => `0+${perMinute}x${MINUTES}`
const constant = (value: number) => `${value}x${MINUTES}`

/** A good day: everything is up, everybody is served, one in a hundred leaves. */
const GOOD: Readonly<Record<string, string>> = {
  [`up{${gateway}}`]: constant(1),
  [`up{${engine}}`]: constant(1),
  [`sluice_queued_requests{${gateway},pool="llama"}`]: constant(2),
  [`sluice_queued_requests{${gateway},pool="${OTHER}"}`]: constant(0),
  [engineUp('10.0.0.1')]: constant(1),
  [attempts('10.0.0.1', 'ok')]: steady(1000),
  [attempts('10.0.0.1', 'failed')]: steady(10),
  [attempts('10.0.0.1', 'full')]: steady(500),
  [`sluice_refusals_total{${gateway},code="invalid_api_key"}`]: steady(1),
  [`sluice_keys_last_reload_successful{${gateway}}`]: constant(1),
  [`vllm:num_requests_running{${engine}}`]: constant(9),
  [`vllm:kv_cache_usage_perc{${engine}}`]: constant(0.5),
  [`vllm:num_preemptions_total{${engine}}`]: steady(1),
  [requests('complete')]: steady(1000),
  [requests('client_gone')]: steady(10),
  [requests('error', 'upstream_error')]: steady(1),
  [requests('error', 'slow_reader')]: steady(1),
  [requests('error', 'queue_full')]: steady(1),
  [duration('bucket', ',le="10.24"')]: steady(9),
  [duration('count')]: steady(10),
  [firstToken('bucket', ',le="5"')]: steady(990),
  [firstToken('count')]: steady(1000)
}

/** What is otherwise in a scenario; a series without values is gone. */
const SCENARIOS: [alert: string, what: string, ...series: Series[]][] = [
  ['SluiceGatewayDown', 'no gateway answers', [`up{${gateway}}`, constant(0)]],
  ['SluiceGatewayDown', 'no gateway is scraped', [`up{${gateway}}`, '']],
  ['SluiceQueueGrowing', 'a queue grows', [`sluice_queued_requests{${gateway},pool="llama"}`, `10+1x${MINUTES}`]],
  ['SluiceNoEngine', 'no engine is well', [engineUp('10.0.0.1'), constant(0)]],
  ['SluiceNoEngine', 'no engine is known', [engineUp('10.0.0.1'), '']],
  [
    'SluiceNoEngine',
    'requests wait at zero engines, and none comes',
    [`sluice_queued_requests{${gateway},pool="${OTHER}"}`, constant(1)]
  ],
  ['SluiceEngineDown', 'one of two engines does not answer', [engineUp('10.0.0.2'), constant(0)]],
  [
    'SluiceEngineFails',
    'one of two engines fails one request in five',
    [engineUp('10.0.0.2'), constant(1)],
    [attempts('10.0.0.2', 'ok'), steady(80)],
    [attempts('10.0.0.2', 'failed'), steady(20)]
  ],
  [
    'SluiceEngineFails',
    'an engine fails everything, and is asked now and then',
    [engineUp('10.0.0.2'), constant(1)],
    [attempts('10.0.0.2', 'ok'), constant(900)],
    [attempts('10.0.0.2', 'failed'), steady(2)]
  ],
  ['SluiceEngineStuck', 'an engine never gets up', [`up{${engine}}`, constant(0)]],
  ['SluiceEngineMetricsMissing', "an engine's metrics are gone", [`vllm:num_requests_running{${engine}}`, '']],
  ['SluiceKvCacheFull', 'a KV cache is full', [`vllm:kv_cache_usage_perc{${engine}}`, constant(0.95)]],
  ['SluicePreemptions', 'sequences are thrown out', [`vllm:num_preemptions_total{${engine}}`, steady(20)]],
  ['SluiceCancelledShare', 'half of the readers leave', [requests('client_gone'), steady(1000)]],
  [
    'SluiceBufferingSuspected',
    'readers give up late though first tokens are on time',
    [requests('client_gone'), steady(300)],
    [duration('count'), steady(300)]
  ],
  ['SluiceSlowReaders', 'readers stop reading', [requests('error', 'slow_reader'), steady(200)]],
  ['SluiceRefusals', 'queues are full', [requests('error', 'queue_full'), steady(200)]],
  ['SluiceRefusals', 'there has never been room', [requests('error', 'no_engine'), steady(200)]],
  [
    'SluiceRejectedKeys',
    'somebody guesses keys',
    [`sluice_refusals_total{${gateway},code="invalid_api_key"}`, steady(90)]
  ],
  [
    'SluiceKeysNotReloaded',
    'a file of keys is broken',
    [`sluice_keys_last_reload_successful{${gateway}}`, constant(0)]
  ],
  ['SluiceAvailabilityBurn', 'one in ten fails', [requests('error', 'upstream_error'), steady(120)]],
  ['SluiceFirstTokenBurn', 'most first tokens are late', [firstToken('bucket', ',le="5"'), steady(200)]],
  [
    'SluiceFirstTokenBurn',
    'most first tokens are late, in the spelling of Prometheus 3',
    [firstToken('bucket', ',le="5"'), ''],
    [firstToken('bucket', ',le="5.0"'), steady(200)]
  ]
]

/** Alerts that come along with what a scenario is about, and with reason. */
const ALONG: Readonly<Record<string, readonly string[]>> = {
  SluiceNoEngine: ['SluiceEngineDown'],
  SluiceRefusals: ['SluiceAvailabilityBurn']
}

/** A burn has an alert for each of its four pairs of windows. */
const BURNS = 4
const isBurn = (alert: string) => alert.endsWith('Burn')

const firing = (alert: string) =>
  `count by (alertname) (ALERTS{alertname=${JSON.stringify(alert)},alertstate="firing"})`

/** A rule test of a good day with `changes`: which alerts fire at its end, and that no others do. */
function describeDay(changes: readonly Series[], fires: readonly string[], mayFire: readonly string[]): object {
  const eval_time = `${fires.some((alert) => !isBurn(alert)) ? SHORT_HOURS : LONG_HOURS}h`
  const series = Object.entries({ ...GOOD, ...Object.fromEntries(changes) }).filter(([, values]) => values !== '')
  const silent = mayFire.length === 0 ? '' : `,alertname!~"${mayFire.join('|')}"`
  return {
    interval: '1m',
    input_series: series.map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      ...fires.map((alert) => ({
        expr: firing(alert),
        eval_time,
        exp_samples: [{ labels: `{alertname="${alert}"}`, value: isBurn(alert) ? BURNS : 1 }]
      })),
      { expr: `count(ALERTS{alertstate="firing"${silent}})`, eval_time, exp_samples: [] }
    ]
  }
}

const runTest = (test: object, of = rules) =>
  runPromtool(['test', 'rules', 'tests.yml'], {
    'rules.yml': of,
    'tests.yml': { rule_files: ['rules.yml'], evaluation_interval: '1m', tests: [test] }
  })

describe.skipIf(isMissing(PROMTOOL, 'tests of alerts', 'install Prometheus (Debian: apt-get install prometheus)'))(
  'the emitted rules',
  () => {
    it('are rules to promtool', () => {
      expect(runPromtool(['check', 'rules', 'rules.yml'], { 'rules.yml': rules })).toMatch(/SUCCESS: \d+ rules found/)
    })

    it('are silent on a good day', () => {
      expect(runTest(describeDay([], [], []))).toMatch(/SUCCESS/)
    })

    it.each(SCENARIOS)('let %s fire when %s', (alert, _what, ...changes) => {
      expect(runTest(describeDay(changes, [alert], [alert, ...(ALONG[alert] ?? [])]))).toMatch(/SUCCESS/)
    })

    it('end a critical burn soon after its cause has gone, and do not forget it', () => {
      const failed = '0x120 0+300x60 18000x60'
      const test = describeDay([[requests('error', 'upstream_error'), failed]], [], ['SluiceAvailabilityBurn'])
      const windows = (minute: number, ...expected: string[]) => ({
        expr: 'count by (window) (ALERTS{alertname="SluiceAvailabilityBurn",alertstate="firing"})',
        eval_time: `${minute}m`,
        exp_samples: expected.map((window) => ({ labels: `{window="${window}"}`, value: 1 }))
      })
      const promql_expr_test = [windows(119), windows(170, '1h', '6h'), windows(230, '1d')]
      expect(runTest({ ...test, promql_expr_test })).toMatch(/SUCCESS/)
    })

    it('wait for the first engine of all as long as it is warmed up and loaded, and for no other', () => {
      const warmed = rulesWith({ cache: { kind: 'claim', claimName: 'models', warmUp: true, downloadSeconds: 3600 } })
      const firstUp = engineUp('10.0.0.1')
      const firingAt = (minute: number, ...alerts: string[]) => ({
        expr: 'count by (alertname) (ALERTS{alertstate="firing",alertname=~"SluiceNoEngine|SluiceEngineStuck"})',
        eval_time: `${minute}m`,
        exp_samples: alerts.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 }))
      })
      const first = describeDay(
        [
          [firstUp, ''],
          [`up{${engine}}`, constant(0)]
        ],
        [],
        []
      )
      const lost = describeDay(
        [
          [firstUp, `1x20 0x${MINUTES}`],
          [`up{${engine}}`, `1x20 0x${MINUTES}`]
        ],
        [],
        []
      )
      const both = ['SluiceEngineStuck', 'SluiceNoEngine']
      const never = [firingAt(82), firingAt(90, ...both), firingAt(230, ...both)]
      const onceWas = [firingAt(20), firingAt(28, 'SluiceNoEngine'), firingAt(50, ...both), firingAt(230, ...both)]
      expect(runTest({ ...first, promql_expr_test: never }, warmed)).toMatch(/SUCCESS/)
      expect(runTest({ ...lost, promql_expr_test: onceWas }, warmed)).toMatch(/SUCCESS/)
    })

    it('call nobody to an engine that failed what it had and went, but to one that comes back each time', () => {
      const firingOf = (up: string, ok: string, failed: string, expected: number[]) => ({
        ...describeDay(
          [
            [engineUp('10.0.0.2'), up],
            [attempts('10.0.0.2', 'ok'), ok],
            [attempts('10.0.0.2', 'failed'), failed]
          ],
          [],
          []
        ),
        promql_expr_test: [32, 36, 40, 44].map((minute) => ({
          expr: firing('SluiceEngineFails'),
          eval_time: `${minute}m`,
          exp_samples: expected.map((value) => ({ labels: '{alertname="SluiceEngineFails"}', value }))
        }))
      })
      const gone = firingOf('1x29 stale', '0+10x29 stale', '0x28 100 stale', [])
      const back = firingOf('1 0 0 0 '.repeat(MINUTES / 4), steady(10), steady(4), [1])
      expect(runTest(gone)).toMatch(/SUCCESS/)
      expect(runTest(back)).toMatch(/SUCCESS/)
    })

    it('have a scenario for each alert', () => {
      const alerts = rules.groups.flatMap((group: Manifest) => group.rules.map((rule: Manifest) => rule.alert))
      expect(new Set(SCENARIOS.map(([alert]) => alert))).toEqual(new Set(alerts.filter(Boolean)))
    })

    it('fail a test that expects what does not fire', () => {
      expect(() => runTest(describeDay([], ['SluiceNoEngine'], []))).toThrow(/FAILED/)
    })
  }
)
