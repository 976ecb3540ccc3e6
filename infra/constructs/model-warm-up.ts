// Downloads a model once, at a pinned commit, before its engines start: a Job, or a pod's own init container.
import { createHash } from 'node:crypto'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import type { Accelerator } from '../lib/accelerators.ts'
import { versionOf } from '../lib/image.ts'
import { labelsOf } from '../lib/labels.ts'
import {
  type AdapterSource,
  CACHE_DIRECTORY,
  downloadCommand,
  downloadsOf,
  HUB_FOLDER,
  waitCommand
} from '../lib/model-download.ts'
import { type PodNeed, restrictContainer, restrictPod } from '../lib/pod-security.ts'
import { gibibytesOf, mebibytesOf, resourcesOf } from '../lib/quantity.ts'
import { renderScheduling, type SchedulingProps } from '../lib/scheduling.ts'
import type { SecretKey } from '../lib/secret.ts'
import type { VllmSettings } from '../lib/vllm-settings.ts'
import type { IModelCache } from './model-cache.ts'
import { CACHE_VOLUME, VLLM_USER } from './vllm-container.ts'

/** What of an engine a download needs to know. */
export interface ModelWarmUpProps extends SchedulingProps {
  /** `metadata.name` of the engine's ServiceAccount, and the start of the Job's name; at most 48 characters. */
  readonly name: string
  /** The engine's image: it has the library, and is then on a node that the engine may run on. */
  readonly image: string
  /** Of which the model and its commit are downloaded. */
  readonly settings: VllmSettings
  /** Adapters that are downloaded with it. @default none */
  readonly adapters?: readonly AdapterSource[]
  /** Where the weights go. */
  readonly cache: IModelCache
  /** What the engine runs on, which says on which nodes. @default whole NVIDIA GPUs */
  readonly accelerator?: Accelerator
  /** Hugging Face token of a gated model. @default none */
  readonly hfTokenSecret?: SecretKey
  /** The engine's plain variables, among which may be `HF_ENDPOINT` or a proxy. @default none */
  readonly env?: Readonly<Record<string, string>>
  /** What the engine's pods need beyond Pod Security `restricted`; an init container has their user. @default none */
  readonly podNeeds?: readonly PodNeed[]
}

/** The label that the pods of every warm-up have. */
export const WARM_UP_LABELS = { 'app.kubernetes.io/name': 'model-warm-up' } as const

/** A finished Job stays for a week, so that its log can be read. What applies it anew then finds the marker at once. */
const KEEP_SECONDS = 604_800
/** The CUDA image asks for every GPU of its node, and where NVIDIA's runtime is the default one it gets them. */
const NO_GPU = { NVIDIA_VISIBLE_DEVICES: 'void' }
/** Attempts after the first; each goes on where the last one stopped. */
const RETRIES = 6

/**
 * The init containers of an engine: it waits for the Job's marker, or downloads itself, and never starts with half of
 * its weights. So an apply needs no order and no hook.
 */
export function renderWarmUp(props: ModelWarmUpProps): k8s.Container[] {
  if (props.cache.warmUp === undefined) return []
  if (props.cache.warmUp.by === 'pod') return [renderDownload(props, userNeedOf(props))]
  return [
    {
      name: 'wait-for-weights',
      image: props.image,
      imagePullPolicy: 'IfNotPresent',
      command: waitCommand(downloadsOf(props.settings, props.adapters)),
      env: Object.entries(NO_GPU).map(([name, value]) => ({ name, value })),
      resources: resourcesOf(0.1, mebibytesOf(64)),
      securityContext: restrictContainer({ readOnlyRoot: true, needs: userNeedOf(props) }),
      volumeMounts: [
        {
          name: CACHE_VOLUME,
          mountPath: `${CACHE_DIRECTORY}/${HUB_FOLDER}`,
          subPath: HUB_FOLDER,
          readOnly: true
        }
      ]
    }
  ]
}

/** A container that says it is not root can't start in a pod whose user is. */
function userNeedOf({ podNeeds = [] }: ModelWarmUpProps): PodNeed[] {
  return podNeeds.filter((need) => need === 'run-as-root')
}

/**
 * A Job that fills a cache which all engines share. A Job can't be changed, so its name says what it does: whatever
 * differs, the commit above all, makes another one, and the same stack the same.
 */
export class ModelWarmUp extends Construct {
  /** The Job's name. */
  readonly jobName: string

  constructor(scope: Construct, id: string, props: ModelWarmUpProps) {
    super(scope, id)
    const labels = labelsOf({
      name: 'model-warm-up',
      instance: `${props.name}-warm-up`,
      version: versionOf(props.image),
      component: 'model-cache'
    })
    const spec: k8s.JobSpec = {
      backoffLimit: RETRIES,
      activeDeadlineSeconds: props.cache.warmUp?.seconds ?? 0,
      ttlSecondsAfterFinished: KEEP_SECONDS,
      template: { metadata: { labels }, spec: renderPod(props) }
    }
    const hash = createHash('sha256')
      .update(JSON.stringify(k8s.toJson_JobSpec(spec)))
      .digest('hex')
    this.jobName = `${props.name}-warm-${hash.slice(0, 8)}`
    new k8s.KubeJob(this, 'Resource', { metadata: { name: this.jobName, labels }, spec })
  }
}

function renderPod(props: ModelWarmUpProps): k8s.PodSpec {
  return {
    serviceAccountName: props.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: 'Never',
    securityContext: restrictPod(VLLM_USER),
    containers: [renderDownload(props)],
    volumes: [{ name: CACHE_VOLUME, ...props.cache.source }],
    ...renderScheduling(props.accelerator, props)
  }
}

function renderDownload(props: ModelWarmUpProps, needs: readonly PodNeed[] = []): k8s.Container {
  const { image, settings, adapters, hfTokenSecret, env } = props
  const values: Record<string, string> = {
    ...env,
    ...NO_GPU,
    HOME: '/tmp',
    HF_HOME: `${CACHE_DIRECTORY}/${HUB_FOLDER}`,
    HF_HUB_DISABLE_TELEMETRY: '1',
    HF_HUB_OFFLINE: '0'
  }
  return {
    name: 'download',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: downloadCommand(downloadsOf(settings, adapters)),
    env: [
      ...Object.entries(values).map(([name, value]) => ({ name, value })),
      ...(hfTokenSecret === undefined
        ? []
        : [{ name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: hfTokenSecret.name, key: hfTokenSecret.key } } }])
    ],
    resources: resourcesOf(1, gibibytesOf(4)),
    securityContext: restrictContainer({ readOnlyRoot: false, needs }),
    volumeMounts: [{ name: CACHE_VOLUME, mountPath: CACHE_DIRECTORY }]
  }
}
