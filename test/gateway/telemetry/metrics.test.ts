// What the metrics say of requests that have ended, and of what is there now.
import { describe, expect, it } from 'vitest'
import type { RequestRecord } from '../../../gateway/call.ts'
import { METRICS } from '../../../gateway/contract.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { createMetrics, type MetricSources } from '../../../gateway/telemetry/metrics.ts'
import { fakeCall } from '../../helpers/fakes.ts'

const record = (more: Partial<RequestRecord> = {}): RequestRecord => ({
  call: fakeCall(),
  outcome: { kind: 'complete' },
  endpoint: 'a:8000',
  attempts: 1,
  queuedMs: 20,
  ttftMs: 100,
  interTokenMs: 30,
  durationMs: 2_000,
  promptTokens: 7,
  outputTokens: 11,
  ...more
})

const NO_JOURNALS = { running: 0, finished: 0, viewers: 0, bytes: 0 }

function create(sources: Partial<MetricSources> = {}) {
  const metrics = createMetrics({ queues: () => [], engines: () => [], journals: () => NO_JOURNALS, ...sources }, [])
  /** The value of the only series of `name` whose labels contain all of `labels`. */
  const value = async (name: string, ...labels: string[]) => {
    const lines = (await metrics.render()).split('\n').filter((line) => line.startsWith(`${name}{`))
    const found = lines.filter((line) => labels.every((label) => line.includes(label)))
    return found.length === 1 ? Number(found[0]?.split(' ').at(-1)) : `${found.length} series`
  }
  return { metrics, value }
}

describe('a request that has ended', () => {
  it.each<[string, string[], number]>([
    [METRICS.requests, ['outcome="complete"', 'code=""'], 1],
    [`${METRICS.requestDuration}_sum`, ['gen_ai_operation_name="chat"'], 2],
    [`${METRICS.timeToFirstToken}_sum`, [], 0.1],
    [`${METRICS.timePerOutputToken}_sum`, [], 0.03],
    [`${METRICS.queueDuration}_sum`, [], 0.02],
    [`${METRICS.tokenUsage}_sum`, ['"input"'], 7],
    [`${METRICS.tokenUsage}_sum`, ['"output"'], 11],
    [METRICS.tokens, ['gen_ai_request_model="m"'], 11]
  ])('is counted in %s with %j', async (name, labels, expected) => {
    const { metrics, value } = create()
    metrics.record(record())
    expect(await value(name, ...labels)).toBeCloseTo(expected, 9)
  })

  it('with an error is counted under its code', async () => {
    const { metrics, value } = create()
    const error = new GatewayError('idle_timeout')
    metrics.record(record({ outcome: { kind: 'error', error, engineFault: true, retryable: false } }))
    expect(await value(METRICS.requests, 'outcome="error"', 'code="idle_timeout"')).toBe(1)
  })

  it('whose reader left is no error, and its duration says so', async () => {
    const { metrics, value } = create()
    metrics.record(record({ outcome: { kind: 'client_gone' } }))
    expect([
      await value(METRICS.requests, 'outcome="client_gone"', 'code=""'),
      await value(`${METRICS.requestDuration}_count`, 'error_type="client_gone"')
    ]).toEqual([1, 1])
  })

  it('without a token has no time to the first one', async () => {
    const { metrics, value } = create()
    metrics.record(record({ ttftMs: undefined }))
    expect(await value(`${METRICS.timeToFirstToken}_count`)).toBe('0 series')
  })

  it('is counted as retried for each further engine', async () => {
    const { metrics, value } = create()
    metrics.record(record({ attempts: 3 }))
    expect(await value(METRICS.retries)).toBe(2)
  })
})

describe('what is there now', () => {
  const engine = ({ healthy }: { healthy: boolean }) => ({
    endpoint: { id: 'a:1', pool: 'p' },
    healthy,
    inFlight: 5,
    maxActive: 7,
    attempts: { ok: 20, failed: 2, full: 1 }
  })

  it('is shown by queue and by engine', async () => {
    const { value } = create({
      queues: () => [{ pool: 'p', queued: 4, active: 9 }],
      engines: () => [engine({ healthy: true })]
    })
    expect([
      await value(METRICS.queuedRequests, 'pool="p"'),
      await value(METRICS.activeRequests, 'pool="p"'),
      await value(METRICS.engineInFlight, 'endpoint="a:1"'),
      await value(METRICS.engineMaxActive, 'endpoint="a:1"'),
      await value(METRICS.engineUp, 'endpoint="a:1"'),
      await value(METRICS.engineAttempts, 'endpoint="a:1"', 'result="ok"'),
      await value(METRICS.engineAttempts, 'endpoint="a:1"', 'result="failed"'),
      await value(METRICS.engineAttempts, 'endpoint="a:1"', 'result="full"')
    ]).toEqual([4, 9, 5, 7, 1, 20, 2, 1])
  })

  it('does not show an engine that has gone', async () => {
    const engines = [engine({ healthy: false })]
    const { value } = create({ engines: () => engines })
    const values = async () => [
      await value(METRICS.engineUp, 'endpoint="a:1"'),
      await value(METRICS.engineAttempts, 'endpoint="a:1"', 'result="failed"')
    ]
    const before = await values()
    engines.pop()
    expect([before, await values()]).toEqual([
      [0, 2],
      ['0 series', '0 series']
    ])
  })
})

it('a refusal is counted by its code', async () => {
  const { metrics, value } = create()
  metrics.refuse('missing_api_key')
  expect(await value(METRICS.refusals, 'code="missing_api_key"')).toBe(1)
})

it('every metric of the contract is there by name', async () => {
  const text = await create().metrics.render()
  expect(Object.values(METRICS).filter((name) => !text.includes(`# TYPE ${name} `))).toEqual([])
})
