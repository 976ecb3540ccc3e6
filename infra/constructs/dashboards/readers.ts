// The rows of a dashboard that show what was promised, what readers get, and what waits for an engine.
import { METRICS } from '../../../gateway/contract.ts'
import { CAPACITY_CODES, GATEWAY_LABELS, OUTCOMES } from '../../lib/gateway-metrics.ts'
import { is, isOneOf, type Matcher, rate, select, share, sumBy } from '../../lib/promql.ts'
import { failedShare, lateShare } from '../alerts/objectives.ts'
import { graph, type Line, ofModel, type Row, spread, WINDOW } from './panel.ts'

const { model, pool, code, outcome } = GATEWAY_LABELS
const perSecond = (metric: string, ...matchers: Matcher[]) => rate(select(metric, ...matchers), WINDOW)

/** The recorded shares, as the alerts on burning budgets read them. */
export function showObjectives(where: Matcher): Row {
  const over = (recorded: (window: string) => string) =>
    ['5m', '1h', '6h', '3d'].map((window): Line => {
      return [`{{${model}}} ${window}`, select(recorded(window), where, ofModel(model))]
    })
  return {
    title: 'Objectives',
    graphs: [
      graph('Failed', 'percentunit', "Share of requests that failed by the service's fault.", ...over(failedShare)),
      graph('Late', 'percentunit', 'Share of first tokens that came too late.', ...over(lateShare))
    ]
  }
}

export function showReaders(where: Matcher): Row {
  const requests = (...more: Matcher[]) => perSecond(METRICS.requests, where, ofModel(model), ...more)
  const tokens = sumBy([model], perSecond(METRICS.tokens, where, ofModel(model)))
  const gone = sumBy([model], requests(is(outcome, OUTCOMES.gone)))
  const errors = sumBy([code], requests(is(outcome, OUTCOMES.error)))
  const ttft = spread(METRICS.timeToFirstToken, model, where)
  const perToken = spread(METRICS.timePerOutputToken, model, where)
  return {
    title: 'Readers',
    graphs: [
      graph(
        'Time to first token',
        's',
        'From acceptance to the first output, the wait in the queue included.',
        ...ttft
      ),
      graph('Time between tokens', 's', 'The mean of each request.', ...perToken),
      graph('Output tokens a second', 'short', 'Relayed to readers.', [`{{${model}}}`, tokens]),
      graph('Requests a second', 'reqps', 'By how they ended.', [`{{${outcome}}}`, sumBy([outcome], requests())]),
      graph('Errors a second', 'reqps', "By code, as the gateway's documentation lists them.", [`{{${code}}}`, errors]),
      graph('Cancelled', 'percentunit', 'Share of requests whose reader left before the end.', [
        `{{${model}}}`,
        share(gone, sumBy([model], requests()))
      ])
    ]
  }
}

export function showQueue(where: Matcher): Row {
  const refused = perSecond(METRICS.requests, where, ofModel(model), isOneOf(code, CAPACITY_CODES))
  const retried = perSecond(METRICS.retries, where, ofModel(model))
  return {
    title: 'Queue',
    graphs: [
      graph(
        'Requests at engines and waiting',
        'short',
        'By pool, over all gateways.',
        [`{{${pool}}} waiting`, sumBy([pool], select(METRICS.queuedRequests, where))],
        [`{{${pool}}} at engines`, sumBy([pool], select(METRICS.activeRequests, where))]
      ),
      graph(
        'Wait for an engine',
        's',
        'In the gateway, until an engine was free.',
        ...spread(METRICS.queueDuration, model, where)
      ),
      graph(
        'Refused and retried a second',
        'reqps',
        'Refused for want of room, refused before a model was known, and sent once more, to any engine.',
        [`{{${code}}}`, sumBy([code], refused)],
        [`{{${code}}} before a model`, sumBy([code], perSecond(METRICS.refusals, where))],
        [`{{${model}}} retried`, sumBy([model], retried)]
      )
    ]
  }
}
