// The two promises to readers, availability and time to first token, and the alerts on how fast their error budgets burn.
import { METRICS } from '../../../gateway/contract.ts'
import { CLIENT_CODES, GATEWAY_LABELS, OUTCOMES } from '../../lib/gateway-metrics.ts'
import { is, isBucket, isNoneOf, isNot, plain, rate, select, share, sumBy } from '../../lib/promql.ts'
import type { AlertingRule, RecordingRule, RuleGroup, Severity, Watched } from './rule.ts'
import { andTraffic } from './traffic.ts'

/** Windows that are short enough to be evaluated with every other rule, and those that span days. */
const SHORT_WINDOWS = ['5m', '30m', '1h', '2h', '6h'] as const
const LONG_WINDOWS = ['1d', '3d'] as const
type Window = (typeof SHORT_WINDOWS | typeof LONG_WINDOWS)[number]

interface Burn {
  readonly long: Window
  /** Still burning now: the alert ends soon after its cause. */
  readonly short: Window
  /** How many times faster than the budget of 30 days allows. */
  readonly factor: number
  readonly for: string
  readonly severity: Severity
}

/** Of the budget of 30 days: 2 % gone in an hour, 5 % in six, 10 % in three days. https://sre.google/workbook/alerting-on-slos/ */
const BURNS: readonly Burn[] = [
  { long: '1h', short: '5m', factor: 14.4, for: '2m', severity: 'critical' },
  { long: '6h', short: '30m', factor: 6, for: '15m', severity: 'critical' },
  { long: '1d', short: '2h', factor: 3, for: '1h', severity: 'warning' },
  { long: '3d', short: '6h', factor: 1, for: '3h', severity: 'warning' }
]

const MODEL = [GATEWAY_LABELS.model]

/** Recorded shares, by model; dashboards read them, too. */
export const failedShare = (window: string) => `model:sluice_requests_failed:ratio_rate${window}`
export const lateShare = (window: string) => `model:sluice_first_tokens_late:ratio_rate${window}`

/**
 * Failed are requests that ended by the service's fault, refusals for want of room among them. A reader that left judges
 * nothing, so it stands in neither number.
 */
function recordFailed(namespace: string, window: Window): RecordingRule {
  const requests = (...more: string[]) =>
    sumBy(MODEL, rate(select(METRICS.requests, is('namespace', namespace), ...more), window))
  const notByReader = isNoneOf(GATEWAY_LABELS.code, CLIENT_CODES)
  const failed = requests(is(GATEWAY_LABELS.outcome, OUTCOMES.error), notByReader)
  const judged = requests(isNot(GATEWAY_LABELS.outcome, OUTCOMES.gone), notByReader)
  return { record: failedShare(window), expr: share(failed, judged) }
}

function recordLate({ namespace, objectives }: Watched, window: Window): RecordingRule {
  const firstTokens = (suffix: string, ...more: string[]) =>
    sumBy(MODEL, rate(select(`${METRICS.timeToFirstToken}${suffix}`, is('namespace', namespace), ...more), window))
  const inTime = firstTokens('_bucket', isBucket(objectives.firstTokenSeconds))
  return { record: lateShare(window), expr: `1 - ${inTime} / ${firstTokens('_count')}` }
}

type Promise = Pick<AlertingRule, 'alert' | 'summary' | 'description'> & {
  readonly recorded: (window: Window) => string
  /** The share that may fail. */
  readonly budget: number
}

/** Of a few requests one is a large share; over days, one counts for what it is. */
const floorOf = (watched: Watched, window: Window) =>
  window === '1h' || window === '6h' ? andTraffic(watched, window) : ''

function watchBurn(watched: Watched, promise: Promise): AlertingRule[] {
  const { recorded, budget, ...texts } = promise
  return BURNS.map(({ long, short, factor, severity, ...burn }) => {
    const over = (window: Window) =>
      `${select(recorded(window), is('namespace', watched.namespace))} > ${plain(factor * budget)}`
    const expr = `${over(long)} and ${over(short)}${floorOf(watched, long)}`
    return { ...texts, expr, for: burn.for, severity, labels: { window: long } }
  })
}

/** The rules on both promises. */
export function watchObjectives(watched: Watched): RuleGroup[] {
  const { namespace, objectives } = watched
  const record = (windows: readonly Window[]) =>
    windows.flatMap((window) => [recordFailed(namespace, window), recordLate(watched, window)])
  const model = `{{ $labels.${GATEWAY_LABELS.model} }}`
  const alerts = [
    ...watchBurn(watched, {
      alert: 'SluiceAvailabilityBurn',
      recorded: failedShare,
      budget: 1 - objectives.availability,
      summary: `Requests for ${model} fail faster than its objective of ${plain(objectives.availability * 100)} % allows`,
      description: `{{ $value | humanizePercentage }} of the requests for ${model} failed by the service's fault over the window in the label. Look at the codes: sum by (code) of ${METRICS.requests}.`
    }),
    ...watchBurn(watched, {
      alert: 'SluiceFirstTokenBurn',
      recorded: lateShare,
      budget: 1 - objectives.firstTokenShare,
      summary: `First tokens of ${model} come late, faster than its objective of ${plain(objectives.firstTokenShare * 100)} % within ${objectives.firstTokenSeconds} s allows`,
      description: `{{ $value | humanizePercentage }} of the first tokens of ${model} took longer than ${objectives.firstTokenSeconds} s over the window in the label. Look whether requests wait at the gateway or prompts are long at the engines.`
    })
  ]
  return [
    { name: 'sluice-objectives', rules: record(SHORT_WINDOWS) },
    // Days move slowly; a recorded value is looked back for five minutes.
    { name: 'sluice-objectives-of-days', interval: '2m', rules: record(LONG_WINDOWS) },
    { name: 'sluice-objectives-alerts', rules: alerts }
  ]
}
