// The alerts on how requests end for their readers: cancelled, unread, buffered on the way, refused.
import { METRICS } from '../../../gateway/contract.ts'
import { CAPACITY_CODES, GATEWAY_LABELS, KEY_CODES, OUTCOMES } from '../../lib/gateway-metrics.ts'
import { is, isBucket, isOneOf, plain, rate, select, share, sum, sumBy } from '../../lib/promql.ts'
import { lateShare } from './objectives.ts'
import type { AlertingRule, RuleGroup, Watched } from './rule.ts'
import { andTraffic } from './traffic.ts'

const WINDOW = '15m'
const MODEL = [GATEWAY_LABELS.model]
const model = `{{ $labels.${GATEWAY_LABELS.model} }}`
const percent = '{{ $value | humanizePercentage }}'

/** A reader that waited so long saw nothing, or was very patient; a bound of the duration's histogram, in seconds. */
const PATIENCE_SECONDS = 10.24

function requests(namespace: string, ...more: string[]): string {
  return sumBy(MODEL, rate(select(METRICS.requests, is('namespace', namespace), ...more), WINDOW))
}

function durations(namespace: string, suffix: string, ...more: string[]): string {
  const gone = is(GATEWAY_LABELS.errorType, OUTCOMES.gone)
  const selector = select(`${METRICS.requestDuration}${suffix}`, is('namespace', namespace), gone, ...more)
  return sumBy(MODEL, rate(selector, WINDOW))
}

/** That more than `least` of a model's requests are of one kind, and that they are enough to say so. */
function isMore(watched: Watched, part: string, least: number): string {
  const whole = requests(watched.namespace)
  return `${share(part, whole)} > ${plain(least)}${andTraffic(watched, WINDOW)}`
}

function watchCancelled(watched: Watched): AlertingRule {
  const { namespace, thresholds } = watched
  const gone = requests(namespace, is(GATEWAY_LABELS.outcome, OUTCOMES.gone))
  return {
    alert: 'SluiceCancelledShare',
    expr: isMore(watched, gone, thresholds.cancelledShare),
    for: '15m',
    severity: 'warning',
    summary: `Readers of ${model} leave before the end`,
    description: `${percent} of the requests for ${model} were cancelled by their readers. They wait too long, a proxy cuts them, or nothing reaches them.`
  }
}

/**
 * A proxy that buffers takes every token at once, so the gateway can't see that nothing reaches the reader. What it sees is
 * a reader that gives up after a long time although its first token was sent long before.
 */
function watchBuffering(watched: Watched): AlertingRule {
  const { namespace, thresholds, objectives } = watched
  const late = durations(namespace, '_bucket', isBucket(PATIENCE_SECONDS))
  const abandoned = `(${durations(namespace, '_count')} - ${late})`
  const inTime = `${select(lateShare('30m'), is('namespace', namespace))} < ${plain(1 - objectives.firstTokenShare)}`
  return {
    alert: 'SluiceBufferingSuspected',
    expr: `${abandoned} / ${requests(namespace)} > ${plain(thresholds.abandonedShare)} and on (${MODEL}) ${inTime}${andTraffic(watched, WINDOW)}`,
    for: '15m',
    severity: 'warning',
    summary: `Something between gateway and readers of ${model} may hold tokens back`,
    description: `${percent} of the requests for ${model} were given up after more than ${PATIENCE_SECONDS} s, while the gateway sends first tokens in time. Stream through the public address and look whether tokens come one by one.`
  }
}

function watchSlowReaders(watched: Watched): AlertingRule {
  const { namespace, thresholds } = watched
  const slow = requests(namespace, is(GATEWAY_LABELS.code, 'slow_reader'))
  return {
    alert: 'SluiceSlowReaders',
    expr: isMore(watched, slow, thresholds.slowReaderShare),
    for: '15m',
    severity: 'warning',
    summary: `Readers of ${model} stop reading`,
    description: `${percent} of the requests for ${model} were cut because nobody took their tokens. A proxy with full buffers does that to all of its readers at once.`
  }
}

function watchRefusals(watched: Watched): AlertingRule[] {
  const { namespace, thresholds } = watched
  const refused = requests(namespace, isOneOf(GATEWAY_LABELS.code, CAPACITY_CODES))
  const rejected = select(METRICS.refusals, is('namespace', namespace), isOneOf(GATEWAY_LABELS.code, KEY_CODES))
  return [
    {
      alert: 'SluiceRefusals',
      expr: isMore(watched, refused, thresholds.refusedShare),
      for: '5m',
      severity: 'critical',
      summary: `There is no room for requests for ${model}`,
      description: `${percent} of the requests for ${model} got 429 or 503: the queue is full, the wait too long, or no engine is there.`
    },
    {
      alert: 'SluiceRejectedKeys',
      expr: `${sum(rate(rejected, '5m'))} > ${plain(thresholds.rejectedKeysPerSecond)}`,
      for: '10m',
      severity: 'warning',
      summary: 'Many requests come without a key that is known',
      description:
        '{{ $value | humanize }} requests a second were refused for their key: a client lost its key, the file of keys is not the newest, or somebody guesses.'
    }
  ]
}

/** The rules on readers. */
export function watchReaders(watched: Watched): RuleGroup {
  const watches = [watchCancelled, watchBuffering, watchSlowReaders]
  return { name: 'sluice-readers', rules: [...watches.map((watch) => watch(watched)), ...watchRefusals(watched)] }
}
