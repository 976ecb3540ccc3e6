// A typed helper for LeaderWorkerSet: groups of pods on several nodes that start, serve and end as one.
import { ApiObject } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import type { Construct } from 'constructs'
import { addImageVolumes, type ImageVolumes } from './image-volumes.ts'

/** The API's name and version. */
export const LEADER_WORKER_SET = { apiVersion: 'leaderworkerset.x-k8s.io/v1', kind: 'LeaderWorkerSet' } as const

/** Properties of a LeaderWorkerSet. */
export interface LeaderWorkerSetProps {
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> }
  /** Groups. @default an autoscaler has the number */
  readonly replicas?: number
  /** Pods of a group, the leader among them. */
  readonly size: number
  /** Groups beyond `replicas`, and short of it, during a rollout; not both 0. */
  readonly maxSurge: number
  readonly maxUnavailable: number | '100%'
  readonly leader: k8s.PodTemplateSpec
  readonly worker: k8s.PodTemplateSpec
  /** Images that every pod has as volumes. */
  readonly images: ImageVolumes
}

/**
 * Makes the object. Its controller makes a headless Service of the same name, which every address in a group is below
 * (kubernetes-sigs/lws, pkg/controllers/leaderworkerset_controller.go), so no other Service may have it.
 */
export function createLeaderWorkerSet(scope: Construct, id: string, props: LeaderWorkerSetProps): ApiObject {
  const template = (pod: k8s.PodTemplateSpec) => {
    const json = k8s.toJson_PodTemplateSpec(pod)
    return { ...json, spec: addImageVolumes(json?.spec ?? {}, props.images) }
  }
  return new ApiObject(scope, id, {
    ...LEADER_WORKER_SET,
    metadata: props.metadata,
    spec: {
      ...(props.replicas === undefined ? {} : { replicas: props.replicas }),
      startupPolicy: 'LeaderCreated',
      rolloutStrategy: {
        type: 'RollingUpdate',
        rollingUpdateConfiguration: { maxSurge: props.maxSurge, maxUnavailable: props.maxUnavailable }
      },
      leaderWorkerTemplate: {
        size: props.size,
        // A process group that lost a member can't be joined again: all of its pods start anew.
        restartPolicy: 'RecreateGroupOnPodRestart',
        leaderTemplate: template(props.leader),
        workerTemplate: template(props.worker)
      }
    }
  })
}
