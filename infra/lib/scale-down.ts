// How slowly replicas are taken away.
import type { k8s } from 'cdk8s-plus-28'

/** The most that Kubernetes takes for a stabilization window (autoscaling/v2). */
const MAX_WINDOW_SECONDS = 3600

/** One replica a minute, and none before the load has been low for `calmSeconds`; an hour is the most that Kubernetes waits. */
export function scaleDownSlowly(calmSeconds: number): k8s.HorizontalPodAutoscalerBehaviorV2 {
  return {
    scaleDown: {
      stabilizationWindowSeconds: Math.min(Math.ceil(calmSeconds), MAX_WINDOW_SECONDS),
      policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }]
    }
  }
}
