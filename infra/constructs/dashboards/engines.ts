// The rows of a dashboard that show engines: how loaded they are, and how fast.
import { METRICS } from '../../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../../lib/gateway-metrics.ts'
import { isNot, type Matcher, rate, select, sumBy } from '../../lib/promql.ts'
import { VLLM_LABELS, VLLM_METRICS } from '../../lib/vllm-metrics.ts'
import { graph, ofModel, type Row, spread, WINDOW } from './panel.ts'

const { pool, endpoint, result } = GATEWAY_LABELS
const { model } = VLLM_LABELS

export function showLoad(where: Matcher): Row {
  const engine = (metric: string) => select(metric, where, ofModel(model))
  const reached = `max by (${pool}, ${endpoint}) (${select(METRICS.engineUp, where)})`
  const preemptions = `${sumBy(['pod'], rate(engine(VLLM_METRICS.preemptions), WINDOW))} * 60`
  return {
    title: 'Load of engines',
    graphs: [
      graph('Engines that are reached', 'short', 'An engine counts when any gateway reaches it.', [
        `{{${pool}}}`,
        sumBy([pool], reached)
      ]),
      graph(
        'Running and waiting in engines',
        'short',
        'Sequences, over all engines of a model.',
        [`{{${model}}} running`, sumBy([model], engine(VLLM_METRICS.running))],
        [`{{${model}}} waiting`, sumBy([model], engine(VLLM_METRICS.waiting))]
      ),
      graph('KV cache in use', 'percentunit', 'By engine.', [
        '{{pod}}',
        `max by (pod) (${engine(VLLM_METRICS.kvCacheUsage)})`
      ]),
      graph('Requests at each engine', 'short', 'As the gateways balance them.', [
        `{{${endpoint}}}`,
        sumBy([endpoint], select(METRICS.engineInFlight, where))
      ]),
      graph(
        'Engines that fail or are full',
        'reqps',
        'Requests that went to another engine, waited again, or failed.',
        [
          `{{${endpoint}}} {{${result}}}`,
          sumBy([endpoint, result], rate(select(METRICS.engineAttempts, where, isNot(result, 'ok')), WINDOW))
        ]
      ),
      graph('Preemptions a minute', 'short', 'Sequences thrown out for want of KV cache and computed again.', [
        '{{pod}}',
        preemptions
      ])
    ]
  }
}

export function showSpeed(where: Matcher): Row {
  const counted = (metric: string) => sumBy([model], rate(select(metric, where, ofModel(model)), WINDOW))
  const fromCache = `${counted(VLLM_METRICS.prefixCacheHits)} / ${counted(VLLM_METRICS.prefixCacheQueries)}`
  const ttft = spread(VLLM_METRICS.timeToFirstToken, model, where)
  const waits = spread(VLLM_METRICS.queueTime, model, where)
  const gaps = spread(VLLM_METRICS.interTokenLatency, model, where)
  const ends = sumBy([VLLM_LABELS.finishedReason], rate(select(VLLM_METRICS.finished, where, ofModel(model)), WINDOW))
  return {
    title: 'Speed of engines',
    graphs: [
      graph('Time to first token in engines', 's', 'What readers see, without the gateway and its queue.', ...ttft),
      graph('Time between tokens in engines', 's', 'Every gap, not the mean of a request.', ...gaps),
      graph('Wait in engines', 's', 'From arrival at an engine until it runs.', ...waits),
      graph(
        'Tokens a second in engines',
        'short',
        'Prompt tokens computed and output tokens generated.',
        [`{{${model}}} prompt`, counted(VLLM_METRICS.promptTokens)],
        [`{{${model}}} output`, counted(VLLM_METRICS.generationTokens)]
      ),
      graph('Prompt tokens from the prefix cache', 'percentunit', 'Share of the tokens that were looked up.', [
        `{{${model}}}`,
        fromCache
      ]),
      graph('Sequences ended a second', 'reqps', 'By the reason that vLLM gives.', [
        `{{${VLLM_LABELS.finishedReason}}}`,
        ends
      ])
    ]
  }
}
