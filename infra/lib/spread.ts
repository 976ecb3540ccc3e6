// Keeps the replicas of a workload apart, and a drain of nodes from taking them all.
import { k8s } from 'cdk8s-plus-28'

/**
 * Spread over zones and nodes as far as there are any: a cluster of one node still schedules. The pods of an older
 * ReplicaSet don't count, or a rollout would end lopsided (`matchLabelKeys`, on by default since Kubernetes 1.27).
 */
export function spreadReplicas(selector: Record<string, string>): k8s.TopologySpreadConstraint[] {
  return ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
    topologyKey,
    maxSkew: 1,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selector },
    matchLabelKeys: ['pod-template-hash']
  }))
}

/** One pod at a time, so one replica never blocks a node's drain; a pod that never got ready may always be evicted. */
export function allowOneEviction(selector: Record<string, string>): k8s.PodDisruptionBudgetSpec {
  return {
    maxUnavailable: k8s.IntOrString.fromNumber(1),
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
    selector: { matchLabels: selector }
  }
}
