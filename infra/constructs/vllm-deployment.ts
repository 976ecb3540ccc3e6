// A model's vLLM engines: the Deployment, its headless Service, its identity and its disruption budget.
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { PORTS } from '../../gateway/contract.ts'
import { versionOf } from '../lib/image.ts'
import { labelsOf, selectorOf } from '../lib/labels.ts'
import { restrictPod } from '../lib/pod-security.ts'
import { allowOneEviction, spreadReplicas } from '../lib/spread.ts'
import { defaultSharedMemoryGiB } from '../lib/vllm-resources.ts'
import type { IModelCache } from './model-cache.ts'
import {
  CACHE_VOLUME,
  DEFAULT_LOAD_SECONDS,
  renderVllmContainer,
  SHARED_MEMORY_VOLUME,
  type VllmContainerProps
} from './vllm-container.ts'

/**
 * How a new version replaces the old one. `surge` starts the new pod first and needs a spare GPU; `in-place` takes one
 * replica down at a time and needs a second one; `recreate` stops them all first and is never a default.
 */
export type Rollout = 'surge' | 'in-place' | 'recreate'

/** Properties of `VllmDeployment`: the container's, and these. */
export interface VllmDeploymentProps extends VllmContainerProps {
  /** `metadata.name` of Deployment, Service and ServiceAccount; an RFC 1035 label. */
  readonly name: string
  readonly cache: IModelCache
  /** How many there are, or the fewest where they are autoscaled. @default 1 */
  readonly replicas?: number
  /** An autoscaler owns the number, so none is written that an apply would set back. @default false */
  readonly autoscaled?: boolean
  /** @default in-place from two replicas on, surge for a single one */
  readonly rollout?: Rollout
  /** Size of /dev/shm in GiB, through which tensor-parallel workers talk. @default 2 for one GPU, 8 for more */
  readonly sharedMemoryGiB?: number
  /** @default none */
  readonly nodeSelector?: Readonly<Record<string, string>>
  /** @default none */
  readonly tolerations?: readonly k8s.Toleration[]
  /** @default none */
  readonly priorityClassName?: string
  /** @default the cluster's */
  readonly runtimeClassName?: string
}

/** The time that pulling an image of 10 GB and finding a node may take before a rollout counts as stuck. */
const SCHEDULE_SECONDS = 900
/** The user, group and home that vLLM's image is made for: vLLM, docs/deployment/docker.md. */
const VLLM_USER = { uid: 2000, gid: 0, fsGroup: 0 }

/** Engines that serve one model; the gateway finds every ready one behind `serviceName`. */
export class VllmDeployment extends Construct {
  /** The Service's name, which resolves to one address per ready pod. */
  readonly serviceName: string
  readonly port: number = PORTS.engine
  readonly selectorLabels: Record<string, string>

  constructor(scope: Construct, id: string, props: VllmDeploymentProps) {
    super(scope, id)
    this.serviceName = props.name
    const identity = { name: 'vllm', instance: props.name, version: versionOf(props.image) } as const
    const labels = labelsOf({ ...identity, component: 'engine' })
    const metadata = { name: props.name, labels }
    this.selectorLabels = selectorOf(identity)

    // First: kubectl applies in this order, and no pod is made before its account is there.
    new k8s.KubeServiceAccount(this, 'ServiceAccount', { metadata, automountServiceAccountToken: false })
    new k8s.KubeDeployment(this, 'Resource', {
      metadata,
      spec: {
        ...renderRollout(props),
        selector: { matchLabels: this.selectorLabels },
        template: { metadata: { labels }, spec: renderPod(props, this.selectorLabels) }
      }
    })
    new k8s.KubeService(this, 'Service', {
      metadata,
      spec: {
        // Headless: the name resolves to the pods, so the gateway balances over engines and not over connections.
        clusterIp: 'None',
        publishNotReadyAddresses: false,
        selector: this.selectorLabels,
        ports: [{ name: 'http', port: this.port, targetPort: k8s.IntOrString.fromString('http') }]
      }
    })
    new k8s.KubePodDisruptionBudget(this, 'DisruptionBudget', {
      metadata,
      spec: allowOneEviction(this.selectorLabels)
    })
  }
}

function renderRollout(
  props: VllmDeploymentProps
): Pick<k8s.DeploymentSpec, 'replicas' | 'strategy' | 'progressDeadlineSeconds' | 'revisionHistoryLimit'> {
  const replicas = props.replicas ?? 1
  const rollout = props.rollout ?? (replicas > 1 ? 'in-place' : 'surge')
  const loadSeconds = props.loadSeconds ?? DEFAULT_LOAD_SECONDS
  const [maxSurge, maxUnavailable] = rollout === 'surge' ? [1, 0] : [0, 1]
  return {
    ...(props.autoscaled ? {} : { replicas }),
    revisionHistoryLimit: 3,
    // A replica may first wait for its predecessor's GPU, then for its image, then for its weights.
    progressDeadlineSeconds: props.budget.terminationGraceSeconds + SCHEDULE_SECONDS + loadSeconds,
    strategy:
      rollout === 'recreate'
        ? { type: 'Recreate' }
        : {
            type: 'RollingUpdate',
            rollingUpdate: {
              maxSurge: k8s.IntOrString.fromNumber(maxSurge),
              maxUnavailable: k8s.IntOrString.fromNumber(maxUnavailable)
            }
          }
  }
}

function renderPod(props: VllmDeploymentProps, selector: Record<string, string>): k8s.PodSpec {
  const sharedMemoryGiB = props.sharedMemoryGiB ?? defaultSharedMemoryGiB(props.gpus)
  return {
    serviceAccountName: props.name,
    automountServiceAccountToken: false,
    // A Service named `vllm` would set VLLM_PORT=tcp://… in the pod, which vLLM reads as its own port.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: props.budget.terminationGraceSeconds,
    securityContext: restrictPod(VLLM_USER),
    containers: [renderVllmContainer(props)],
    volumes: [
      { name: CACHE_VOLUME, ...props.cache.source },
      {
        name: SHARED_MEMORY_VOLUME,
        emptyDir: { medium: 'Memory', sizeLimit: k8s.Quantity.fromString(`${sharedMemoryGiB}Gi`) }
      }
    ],
    topologySpreadConstraints: spreadReplicas(selector),
    ...(props.nodeSelector === undefined ? {} : { nodeSelector: props.nodeSelector }),
    ...(props.tolerations === undefined ? {} : { tolerations: [...props.tolerations] }),
    ...(props.priorityClassName === undefined ? {} : { priorityClassName: props.priorityClassName }),
    ...(props.runtimeClassName === undefined ? {} : { runtimeClassName: props.runtimeClassName })
  }
}
