// KEDA's ScaledObject as a typed helper, and its triggers.
import { ApiObject } from 'cdk8s'
import type { k8s } from 'cdk8s-plus-28'
import type { Construct } from 'constructs'

/** One sign that KEDA scales on; the sign that asks for the most replicas wins. */
export interface ScaleTrigger {
  readonly type: 'prometheus' | 'cpu'
  readonly name?: string
  readonly metricType: 'AverageValue' | 'Utilization'
  readonly metadata: Readonly<Record<string, string>>
}

/** What has replicas to scale, and is in the same namespace. */
export interface ScaleTarget {
  /** The API's group and version. */
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
}

/** Source: https://keda.sh/docs/latest/reference/scaledobject-spec */
export interface ScaledObjectProps {
  /** `metadata.name` of the object. */
  readonly name: string
  /** What is scaled. */
  readonly target: ScaleTarget
  readonly labels: Readonly<Record<string, string>>
  readonly minReplicas: number
  readonly maxReplicas: number
  /** Seconds between two looks from zero. */
  readonly pollSeconds: number
  /** Seconds without any sign before the last replica goes; only towards zero. */
  readonly cooldownSeconds: number
  readonly behavior: k8s.HorizontalPodAutoscalerBehaviorV2
  readonly triggers: readonly ScaleTrigger[]
}

/** Makes the ScaledObject; KEDA makes the HorizontalPodAutoscaler. */
export function scaleByKeda(scope: Construct, id: string, props: ScaledObjectProps): ApiObject {
  return new ApiObject(scope, id, {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name: props.name, labels: { ...props.labels } },
    spec: {
      scaleTargetRef: { ...props.target },
      pollingInterval: props.pollSeconds,
      cooldownPeriod: props.cooldownSeconds,
      minReplicaCount: props.minReplicas,
      maxReplicaCount: props.maxReplicas,
      advanced: { horizontalPodAutoscalerConfig: { behavior: props.behavior } },
      triggers: props.triggers
    }
  })
}

/**
 * A query with one value, of which each replica may have `threshold`; above `activationThreshold` it leads out of zero and
 * keeps the last replica. No value is an error and not a zero: KEDA would take a query that matches nothing any more for a
 * calm, and scale down under load. There is no `fallback` either, which overrides what the other triggers ask for
 * (kedacore/keda#6659).
 */
export function prometheusTrigger(
  name: string,
  serverAddress: string,
  query: string,
  threshold: number,
  activationThreshold = 0
): ScaleTrigger {
  return {
    type: 'prometheus',
    name,
    metricType: 'AverageValue',
    metadata: {
      serverAddress,
      query,
      threshold: String(threshold),
      activationThreshold: String(activationThreshold),
      ignoreNullValues: 'false'
    }
  }
}
