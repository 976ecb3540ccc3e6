// Where a pod may run: what the placement says, and what the accelerator adds to it.
import type { k8s } from 'cdk8s-plus-28'
import { type Accelerator, profileOf } from './accelerators.ts'

/** Where the pods of an engine may run, and as whom they pull and reach devices. */
export interface SchedulingProps {
  /** Labels that a node must have, beyond the accelerator's. @default none */
  readonly nodeSelector?: Readonly<Record<string, string>>
  /** Taints of those nodes, beyond the accelerator's. @default none */
  readonly tolerations?: readonly k8s.Toleration[]
  /** A PriorityClass that is there. @default none */
  readonly priorityClassName?: string
  /**
   * The runtime that brings the devices in, where it is not the default one. No accelerator implies it: a pod that names
   * a class that the cluster lacks is refused. @default the cluster's
   */
  readonly runtimeClassName?: string
  /** Secrets of private registries, in the pod's namespace. @default none */
  readonly imagePullSecrets?: readonly string[]
  /** Numbers of the nodes' groups that device files belong to, as `getent group render` says them. @default none */
  readonly deviceGroups?: readonly number[]
}

type Scheduling = Pick<
  k8s.PodSpec,
  'nodeSelector' | 'tolerations' | 'priorityClassName' | 'runtimeClassName' | 'imagePullSecrets'
>

/** The fields of a pod's spec, without those that would be empty. */
export function renderScheduling(accelerator: Accelerator | undefined, props: SchedulingProps): Scheduling {
  const profile = profileOf(accelerator)
  const nodeSelector = { ...profile.nodeSelector, ...props.nodeSelector }
  const own = props.tolerations ?? []
  const usual = profile.tolerations.filter(
    ({ key, effect }) => !own.some((one) => one.key === key && (one.effect ?? effect) === effect)
  )
  const tolerations = [...usual, ...own]
  return {
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(props.priorityClassName === undefined ? {} : { priorityClassName: props.priorityClassName }),
    ...(props.runtimeClassName === undefined ? {} : { runtimeClassName: props.runtimeClassName }),
    ...renderPullSecrets(props.imagePullSecrets)
  }
}

/** The registries' Secrets of a pod. */
export function renderPullSecrets(names: readonly string[] = []): Pick<k8s.PodSpec, 'imagePullSecrets'> {
  return names.length === 0 ? {} : { imagePullSecrets: names.map((name) => ({ name })) }
}
