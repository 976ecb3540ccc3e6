// A model's vLLM engines: the Deployment, its headless Service, its identity and its disruption budget.
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { PORTS } from '../../gateway/contract.ts'
import { profileOf } from '../lib/accelerators.ts'
import { identityLabelsOf, type TokenServer, tokenServerOf } from '../lib/cloud-identity.ts'
import { versionOf } from '../lib/image.ts'
import { ImageVolumeDeployment, type ImageVolumes } from '../lib/image-volumes.ts'
import type { ScaleTarget } from '../lib/keda.ts'
import { labelsOf, selectorOf } from '../lib/labels.ts'
import { createLeaderWorkerSet, LEADER_WORKER_SET } from '../lib/leader-worker-set.ts'
import { restrictPod, shareWithNode } from '../lib/pod-security.ts'
import { gibibytesOf } from '../lib/quantity.ts'
import { renderScheduling, type SchedulingProps } from '../lib/scheduling.ts'
import { allowOneEviction, spreadReplicas } from '../lib/spread.ts'
import { defaultSharedMemoryGiB } from '../lib/vllm-resources.ts'
import type { WarmUp } from './model-cache.ts'
import { renderWarmUp } from './model-warm-up.ts'
import {
  CACHE_VOLUME,
  DEFAULT_LOAD_SECONDS,
  type EngineRole,
  HOME_VOLUME,
  MODEL_IMAGE_VOLUME,
  renderVllmContainer,
  SHARED_MEMORY_VOLUME,
  VLLM_USER,
  type VllmContainerProps
} from './vllm-container.ts'

/**
 * How a new version replaces the old one. `surge` starts the new pod first and needs a spare GPU; `in-place` takes one
 * replica down at a time and needs a second one; `recreate` stops them all first and is never a default.
 */
export type Rollout = 'surge' | 'in-place' | 'recreate'

/** Properties of `VllmDeployment`: the container's, and these. */
export interface VllmDeploymentProps extends VllmContainerProps, SchedulingProps {
  /** `metadata.name` of Deployment, Service and ServiceAccount; an RFC 1035 label. */
  readonly name: string
  /** Engines, each with its own GPUs, or the fewest where they are autoscaled. @default 1 */
  readonly replicas?: number
  /** An autoscaler owns the number, so none is written that an apply would set back. @default false */
  readonly autoscaled?: boolean
  /** How a new version replaces the old one. @default in-place from two replicas on, surge for a single one */
  readonly rollout?: Rollout
  /** Size of /dev/shm in GiB, through which tensor-parallel workers talk. @default 2 for one NVIDIA GPU, 8 for more */
  readonly sharedMemoryGiB?: number
  /** Annotations of the pods' ServiceAccount, by which clouds give them an identity. @default none */
  readonly serviceAccountAnnotations?: Readonly<Record<string, string>>
}

/** The time that pulling an image of 10 GB and finding a node may take before a rollout counts as stuck. */
const SCHEDULE_SECONDS = 900

/** Engines that serve one model; the gateway finds every ready one behind `serviceName`. */
export class VllmDeployment extends Construct {
  /** The Service's name, which resolves to one address per ready pod. */
  readonly serviceName: string
  /** The Service's port. */
  readonly port: number = PORTS.engine
  /** The labels that its pods, and no others, have; where a replica is several pods, the ones that serve. */
  readonly selectorLabels: Record<string, string>
  /** The labels of a replica's other pods, where it is several. */
  readonly workerLabels?: Record<string, string>
  /** What has the number of replicas. */
  readonly scaleTarget: ScaleTarget
  /** Who fills its cache before it starts, where somebody does. */
  readonly warmUp?: WarmUp
  /** Seconds that a new pod may take until it serves: its node and image, then its weights. */
  readonly startSeconds: number
  /** Seconds that a rollout may leave its Service without a ready replica; 0 where it never does. */
  readonly gapSeconds: number
  /** Whom its pods ask for the cloud's tokens, where they ask anybody inside of its network. */
  readonly tokenServer?: TokenServer

  constructor(scope: Construct, id: string, props: VllmDeploymentProps) {
    super(scope, id)
    this.serviceName = props.name
    const identity = { name: 'vllm', instance: props.name, version: versionOf(props.image) } as const
    const labels = labelsOf({ ...identity, component: 'engine' })
    const metadata = { name: props.name, labels }
    this.selectorLabels = selectorOf(identity)
    if ((props.nodes ?? 1) > 1) this.workerLabels = selectorOf(workerIdentity(props))
    if (props.cache.warmUp !== undefined) this.warmUp = props.cache.warmUp
    this.startSeconds = startSecondsOf(props)
    this.gapSeconds = gapSecondsOf(props)
    const tokenServer = tokenServerOf(props.serviceAccountAnnotations)
    if (tokenServer !== undefined) this.tokenServer = tokenServer

    // First: kubectl applies in this order, and no pod is made before its account is there.
    new k8s.KubeServiceAccount(this, 'ServiceAccount', {
      metadata: { ...metadata, ...annotate(props.serviceAccountAnnotations) },
      automountServiceAccountToken: false
    })
    this.scaleTarget =
      (props.nodes ?? 1) === 1 ? createDeployment(this, props, metadata) : createGroups(this, props, metadata)
    new k8s.KubeService(this, 'Service', {
      metadata,
      spec: {
        // Headless: the name resolves to the pods, so the gateway balances over engines and not over connections.
        clusterIp: 'None',
        selector: this.selectorLabels,
        ports: [{ name: 'http', port: this.port, targetPort: k8s.IntOrString.fromString('http') }]
      }
    })
    new k8s.KubePodDisruptionBudget(this, 'DisruptionBudget', { metadata, spec: renderDisruptionBudget(props) })
  }
}

interface Metadata {
  readonly name: string
  readonly labels: Record<string, string>
}

const annotate = (annotations: Readonly<Record<string, string>> | undefined) =>
  annotations === undefined ? {} : { annotations }

const podLabels = ({ serviceAccountAnnotations }: VllmDeploymentProps, own: Record<string, string>) => ({
  ...own,
  ...identityLabelsOf(serviceAccountAnnotations)
})

function createDeployment(scope: Construct, props: VllmDeploymentProps, metadata: Metadata): ScaleTarget {
  const selector = selectorOf({ name: 'vllm', instance: props.name })
  const spec = {
    ...renderRollout(props),
    selector: { matchLabels: selector },
    template: { metadata: { labels: podLabels(props, metadata.labels) }, spec: renderPod(props, selector) }
  }
  new ImageVolumeDeployment(scope, 'Resource', { metadata, spec }, imagesOf(props))
  return { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name }
}

/**
 * Groups of pods, whose leaders alone have the labels that the Service selects. The controller has a Service of the
 * groups' own name, so that differs from the engines'.
 */
function createGroups(scope: Construct, props: VllmDeploymentProps, metadata: Metadata): ScaleTarget {
  const replicas = props.replicas ?? 1
  const [maxSurge, maxUnavailable] = BUDGETS[rolloutOf(props)]
  const worker = workerIdentity(props)
  const name = `${props.name}-lws`
  createLeaderWorkerSet(scope, 'Resource', {
    metadata: { ...metadata, name },
    ...(props.autoscaled ? {} : { replicas }),
    size: props.nodes ?? 1,
    maxSurge,
    maxUnavailable,
    leader: {
      metadata: { labels: podLabels(props, metadata.labels) },
      spec: renderPod(props, selectorOf({ name: 'vllm', instance: props.name }), 'leader')
    },
    worker: {
      metadata: { labels: podLabels(props, labelsOf({ ...worker, component: 'engine' })) },
      spec: renderPod(props, selectorOf(worker), 'worker')
    },
    images: imagesOf(props)
  })
  return { ...LEADER_WORKER_SET, name }
}

/** Where a replica is a group, a worker's eviction ends all of it, so workers count, too. */
function renderDisruptionBudget(props: VllmDeploymentProps): k8s.PodDisruptionBudgetSpec {
  const budget = allowOneEviction(selectorOf({ name: 'vllm', instance: props.name }))
  if ((props.nodes ?? 1) === 1) return budget
  const values = [props.name, workerIdentity(props).instance]
  return {
    ...budget,
    selector: { matchExpressions: [{ key: 'app.kubernetes.io/instance', operator: 'In', values }] }
  }
}

const workerIdentity = ({ name, image }: VllmDeploymentProps) =>
  ({ name: 'vllm', instance: `${name}-worker`, version: versionOf(image) }) as const

const imagesOf = ({ cache }: VllmDeploymentProps): ImageVolumes =>
  cache.modelImage === undefined ? {} : { [MODEL_IMAGE_VOLUME]: cache.modelImage }

/** How engines are rolled out, where their placement does not say it, too. */
export function rolloutOf({ rollout, replicas = 1 }: Pick<VllmDeploymentProps, 'rollout' | 'replicas'>): Rollout {
  return rollout ?? (replicas > 1 ? 'in-place' : 'surge')
}

/** Replicas beyond the wanted ones, and short of them, while a new version replaces the old one. */
const BUDGETS = { surge: [1, 0], 'in-place': [0, 1], recreate: [0, '100%'] } as const

function startSecondsOf({ cache, loadSeconds = DEFAULT_LOAD_SECONDS }: VllmDeploymentProps): number {
  return SCHEDULE_SECONDS + (cache.warmUp?.seconds ?? 0) + loadSeconds
}

/** Old replicas drain for as long as they may before the first new one begins to start. */
function gapSecondsOf(props: VllmDeploymentProps): number {
  return rolloutOf(props) === 'recreate' ? props.budget.terminationGraceSeconds + startSecondsOf(props) : 0
}

function renderRollout(
  props: VllmDeploymentProps
): Pick<k8s.DeploymentSpec, 'replicas' | 'strategy' | 'progressDeadlineSeconds' | 'revisionHistoryLimit'> {
  const replicas = props.replicas ?? 1
  const rollout = rolloutOf(props)
  return {
    ...(props.autoscaled ? {} : { replicas }),
    revisionHistoryLimit: 3,
    // A replica may first wait for its predecessor's GPU.
    progressDeadlineSeconds: props.budget.terminationGraceSeconds + startSecondsOf(props),
    strategy:
      rollout === 'recreate'
        ? { type: 'Recreate' }
        : {
            type: 'RollingUpdate',
            rollingUpdate: {
              maxSurge: k8s.IntOrString.fromNumber(BUDGETS[rollout][0]),
              maxUnavailable: k8s.IntOrString.fromNumber(BUDGETS[rollout][1])
            }
          }
  }
}

function renderPod(
  props: VllmDeploymentProps,
  selector: Record<string, string>,
  role: EngineRole = 'whole'
): k8s.PodSpec {
  const initContainers = renderWarmUp(props)
  return {
    serviceAccountName: props.name,
    automountServiceAccountToken: false,
    // A Service named `vllm` would set VLLM_PORT=tcp://… in the pod, which vLLM reads as its own port.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: props.budget.terminationGraceSeconds,
    ...shareWithNode(props.podNeeds),
    securityContext: {
      ...restrictPod(VLLM_USER, props.podNeeds),
      ...(props.deviceGroups === undefined ? {} : { supplementalGroups: [...props.deviceGroups] })
    },
    ...(initContainers.length === 0 ? {} : { initContainers }),
    containers: [renderVllmContainer(props, role)],
    volumes: renderVolumes(props),
    // A worker goes where the scheduler finds the GPUs: its group is the replica, and is kept apart by its leader.
    ...(role === 'worker' ? {} : { topologySpreadConstraints: spreadReplicas(selector) }),
    ...renderScheduling(props.accelerator, props)
  }
}

function renderVolumes({ accelerator, cache, gpus, nodes = 1, sharedMemoryGiB }: VllmDeploymentProps): k8s.Volume[] {
  const shared = sharedMemoryGiB ?? defaultSharedMemoryGiB(accelerator, gpus / nodes)
  return [
    { name: CACHE_VOLUME, ...cache.source },
    {
      name: SHARED_MEMORY_VOLUME,
      emptyDir: { medium: 'Memory', sizeLimit: gibibytesOf(shared) }
    },
    ...(profileOf(accelerator).hasUser ? [] : [{ name: HOME_VOLUME, emptyDir: {} }])
  ]
}
