// Adds and takes away a model's engines: on what waits, runs and fills the KV cache, down to zero and back where asked.
import { Construct } from 'constructs'
import { METRICS } from '../../gateway/contract.ts'
import { GATEWAY_LABELS } from '../lib/gateway-metrics.ts'
import { prometheusTrigger, type ScaleTarget, type ScaleTrigger, scaleByKeda } from '../lib/keda.ts'
import { labelsOf } from '../lib/labels.ts'
import { is, select, sum } from '../lib/promql.ts'
import { scaleDownSlowly } from '../lib/scale-down.ts'
import { VLLM_LABELS, VLLM_METRICS } from '../lib/vllm-metrics.ts'

/** Properties of `EngineAutoscaler`. */
export interface EngineAutoscalerProps {
  /** `metadata.name`. */
  readonly name: string
  /** The engines. */
  readonly target: ScaleTarget
  /** Where gateway and engines run, whose series are read. */
  readonly namespace: string
  /** The gateway's pool of these engines. */
  readonly pool: string
  /** The name that clients send, which is vLLM's label `model_name`. */
  readonly servedModelName: string
  /** Prometheus' HTTP API as KEDA reaches it. */
  readonly prometheusUrl: string
  /** The fewest; 0 lets the engines go while nobody asks. */
  readonly minReplicas: number
  /** The most. */
  readonly maxReplicas: number
  /** Sequences that one engine runs at once. */
  readonly maxNumSeqs: number
  /** Seconds that the model may load for. */
  readonly loadSeconds: number
  /** Requests that may wait for each engine. @default 8 */
  readonly waitingPerEngine?: number
  /** Share of `maxNumSeqs` that may run before there is one more, 0 to 1. @default 0.8 */
  readonly activeShare?: number
  /** Share of the KV cache that may be in use before there is one more, 0 to 1. @default 0.8 */
  readonly kvUsage?: number
  /** Seconds between KEDA's looks from zero. @default 15 */
  readonly pollSeconds?: number
  /** Seconds of calm before engines go. @default loadSeconds, and at least 300 */
  readonly cooldownSeconds?: number
}

/** A shorter calm is noise: prompts come in bursts, and the autoscaler's own signs are a minute old. */
const SHORTEST_CALM_SECONDS = 300

/** Up to here a KV cache counts as empty: an engine that keeps a block for itself would never let go of its GPU. */
const IDLE_KV_USAGE = 0.01

/** A ScaledObject for the engines of one model. */
export class EngineAutoscaler extends Construct {
  constructor(scope: Construct, id: string, props: EngineAutoscalerProps) {
    super(scope, id)
    // An engine that goes sooner than it was loaded is loaded again for the next burst, and helps nobody in between.
    const calmSeconds = props.cooldownSeconds ?? Math.max(props.loadSeconds, SHORTEST_CALM_SECONDS)
    scaleByKeda(this, 'Resource', {
      name: props.name,
      labels: labelsOf({ name: 'vllm', instance: props.name, component: 'engine' }),
      target: props.target,
      minReplicas: props.minReplicas,
      maxReplicas: props.maxReplicas,
      pollSeconds: props.pollSeconds ?? 15,
      cooldownSeconds: calmSeconds,
      behavior: scaleDownSlowly(calmSeconds),
      triggers: renderTriggers(props)
    })
  }
}

/**
 * Four signs. The gateway's queue, which is there without an engine and so leads out of zero; the requests at engines, so
 * that engines which just emptied the queue are not taken away; and, of the engines, their own queue and KV cache, which
 * fill when prompts are long, however few the requests.
 */
function renderTriggers(props: EngineAutoscalerProps): ScaleTrigger[] {
  const waiting = props.waitingPerEngine ?? 8
  const active = Math.max(1, Math.floor(props.maxNumSeqs * (props.activeShare ?? 0.8)))
  const namespace = is('namespace', props.namespace)
  const ofPool = (metric: string) => sum(select(metric, namespace, is(GATEWAY_LABELS.pool, props.pool)))
  // Without an engine its series are gone, and that is no error there.
  const orZero = props.minReplicas === 0 ? ' or vector(0)' : ''
  const ofEngines = (metric: string) =>
    sum(select(metric, namespace, is(VLLM_LABELS.model, props.servedModelName))) + orZero
  const trigger = (name: string, query: string, threshold: number, activation?: number) =>
    prometheusTrigger(name, props.prometheusUrl, query, threshold, activation)
  return [
    trigger('queued', ofPool(METRICS.queuedRequests), waiting),
    trigger('active', ofPool(METRICS.activeRequests), active),
    trigger('waiting', ofEngines(VLLM_METRICS.waiting), waiting),
    trigger('kv-cache', ofEngines(VLLM_METRICS.kvCacheUsage), props.kvUsage ?? 0.8, IDLE_KV_USAGE)
  ]
}
