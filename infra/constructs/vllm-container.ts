// The container of an engine: arguments, environment, probes, shutdown, resources and mounts.
import { k8s } from 'cdk8s-plus-28'
import { ENGINE_HEALTH_PATH, PORTS, type TimeBudget } from '../../gateway/contract.ts'
import { type Accelerator, profileOf } from '../lib/accelerators.ts'
import {
  type AdapterSource,
  CACHE_DIRECTORY,
  HUB_FOLDER,
  MODEL_DIRECTORY,
  snapshotPath
} from '../lib/model-download.ts'
import { type PodNeed, restrictContainer } from '../lib/pod-security.ts'
import { countOf, gibibytesOf, resourcesOf } from '../lib/quantity.ts'
import type { SecretKey } from '../lib/secret.ts'
import { renderVllmArgs } from '../lib/vllm-flags.ts'
import { defaultCpu, defaultMemoryGiB } from '../lib/vllm-resources.ts'
import type { VllmSettings } from '../lib/vllm-settings.ts'
import type { IModelCache } from './model-cache.ts'

/** Names of the pod's volumes that the container mounts. */
export const CACHE_VOLUME = 'model-cache'
export const SHARED_MEMORY_VOLUME = 'shared-memory'
export const MODEL_IMAGE_VOLUME = 'model-image'
export const HOME_VOLUME = 'home'

const HOME = '/home/vllm'
/** The user, group and home that vLLM's image is made for: vLLM, docs/deployment/docker.md. */
export const VLLM_USER = { uid: 2000, gid: 0, fsGroup: 0 }
const STARTUP_PERIOD_SECONDS = 10

/** Properties of an engine's container. */
export interface VllmContainerProps {
  /** Pinned image, as `vllm/vllm-openai:v0.31.0`. */
  readonly image: string
  /** The name that clients send (`--served-model-name`). */
  readonly servedModelName: string
  /** What vLLM is started with. */
  readonly settings: VllmSettings
  /** Where weights are kept between starts. */
  readonly cache: IModelCache
  /** LoRA adapters that are loaded at the start. @default none */
  readonly adapters?: readonly AdapterSource[]
  /** Nodes that one replica is spread over, a pod on each; they have to divide `gpus`. @default 1 */
  readonly nodes?: number
  /** What the engine runs on; goes with the image. @default whole NVIDIA GPUs */
  readonly accelerator?: Accelerator
  /** GPUs of one replica, all of its nodes together: tensor parallel size times pipeline parallel size; 0 on CPUs. */
  readonly gpus: number
  /** Extended resource of the device plugin. @default the accelerator's */
  readonly gpuResource?: string
  /** The engine's part of the region's time budget. */
  readonly budget: TimeBudget['engine']
  /** Seconds from the container's start to a loaded model; then the kubelet restarts it. @default 1800 */
  readonly loadSeconds?: number
  /** CPU cores that a pod requests; the limit is twice as much. @default 4 a GPU, 16 without GPUs */
  readonly cpu?: number
  /** Host memory of a pod in GiB, request and limit, shared memory included. @default 32 a GPU, 32 without GPUs */
  readonly memoryGiB?: number
  /** Hugging Face token of a gated model. @default none */
  readonly hfTokenSecret?: SecretKey
  /** Bearer token that the engine asks for (`VLLM_API_KEY`). @default none */
  readonly engineKeySecret?: SecretKey
  /** Further environment variables; never a secret. @default none */
  readonly env?: Readonly<Record<string, string>>
  /** Further environment variables that hold a secret. @default none */
  readonly secretEnv?: Readonly<Record<string, SecretKey>>
  /** The model is in the cache already: Hugging Face is asked nothing (`HF_HUB_OFFLINE`). @default false */
  readonly offline?: boolean
  /** What the accelerator needs beyond Pod Security `restricted`. @default none */
  readonly podNeeds?: readonly PodNeed[]
}

export const DEFAULT_LOAD_SECONDS = 1800

/** What a pod is in its replica: all of it, or the one of several nodes that has the HTTP server, or another. */
export type EngineRole = 'whole' | 'leader' | 'worker'

/** Renders the container `vllm`. */
export function renderVllmContainer(props: VllmContainerProps, role: EngineRole = 'whole'): k8s.Container {
  const loadSeconds = props.loadSeconds ?? DEFAULT_LOAD_SECONDS
  return {
    name: 'vllm',
    image: props.image,
    imagePullPolicy: 'IfNotPresent',
    command: ['vllm', 'serve'],
    args: renderArgs(props, role),
    env: renderEnvironment(props, loadSeconds),
    // A worker has no HTTP server. When it ends the group ends, and when it hangs the leader's liveness fails.
    ...(role === 'worker'
      ? {}
      : // the protocol is the default, which a LeaderWorkerSet's API would add and kubectl then take for a change
        { ports: [{ name: 'http', containerPort: PORTS.engine, protocol: 'TCP' }], ...renderProbes(loadSeconds) }),
    // A lifecycle action `sleep` needs Kubernetes 1.30; the image has the program.
    lifecycle: { preStop: { exec: { command: ['sleep', String(preStopSeconds(props.budget, role))] } } },
    resources: renderResources(props),
    // NVIDIA's CDI hooks write /etc/ld.so.cache into the container's root at its start, so the root stays writable
    // (https://github.com/kserve/kserve, config-llm-template.yaml); `restricted` does not ask for more.
    securityContext: restrictContainer({ readOnlyRoot: false, needs: props.podNeeds ?? [] }),
    volumeMounts: renderMounts(props)
  }
}

/** A worker computes for the leader's running answers, so it gets SIGTERM when they have had their time. */
function preStopSeconds({ preStopSeconds, shutdownTimeoutSeconds }: TimeBudget['engine'], role: EngineRole): number {
  return role === 'worker' ? preStopSeconds + shutdownTimeoutSeconds : preStopSeconds
}

function renderArgs(props: VllmContainerProps, role: EngineRole): string[] {
  const adapters = (props.adapters ?? []).map(({ name, source, revision }) => ({
    name,
    path: revision === undefined ? source : snapshotPath({ repository: source, revision })
  }))
  return renderVllmArgs(locateWeights(props), {
    servedModelName: props.servedModelName,
    port: PORTS.engine,
    shutdownTimeoutSeconds: props.budget.shutdownTimeoutSeconds,
    adapters,
    ...(role === 'whole' ? {} : { node: { role, of: props.nodes ?? 1 } })
  })
}

/**
 * A warmed model is its folder: asked for the repository, huggingface_hub refuses offline what is not there as a whole,
 * and the warm-up leaves out what vLLM does not read (huggingface_hub 2.4, IncompleteSnapshotError).
 */
function locateWeights({ cache, settings }: VllmContainerProps): VllmSettings {
  const { model, revision, ...others } = settings
  if (cache.warmUp === undefined || revision === undefined) return settings
  return { ...others, model: snapshotPath({ repository: model, revision }) }
}

/**
 * The cache as a whole stays writable, for compiled graphs; weights that a warm-up or an image brings are not. kubelet
 * makes the folder of a subPath with the mode of the volume's root.
 */
function renderMounts({ accelerator, cache }: VllmContainerProps): k8s.VolumeMount[] {
  const weights = `${CACHE_DIRECTORY}/${HUB_FOLDER}`
  return [
    ...(profileOf(accelerator).hasUser ? [] : [{ name: HOME_VOLUME, mountPath: HOME }]),
    { name: CACHE_VOLUME, mountPath: CACHE_DIRECTORY },
    ...(cache.warmUp === undefined
      ? []
      : [{ name: CACHE_VOLUME, mountPath: weights, subPath: HUB_FOLDER, readOnly: true }]),
    ...(cache.modelImage === undefined
      ? []
      : [{ name: MODEL_IMAGE_VOLUME, mountPath: MODEL_DIRECTORY, readOnly: true }]),
    { name: SHARED_MEMORY_VOLUME, mountPath: '/dev/shm' }
  ]
}

function renderEnvironment(props: VllmContainerProps, loadSeconds: number): k8s.EnvVar[] {
  const values: Record<string, string> = {
    // A hub that can't be reached would be waited for, at every start.
    ...(props.offline === true ? { HF_HUB_OFFLINE: '1' } : {}),
    ...props.env,
    HOME,
    HF_HOME: `${CACHE_DIRECTORY}/${HUB_FOLDER}`,
    ...renderOffline(props.cache),
    ...renderAccelerator(props.accelerator),
    VLLM_CACHE_ROOT: `${CACHE_DIRECTORY}/vllm`,
    // vLLM gives its engine 600 s to get ready; the startup probe decides here.
    VLLM_ENGINE_READY_TIMEOUT_S: String(loadSeconds),
    VLLM_HTTP_TIMEOUT_KEEP_ALIVE: String(props.budget.keepAliveSeconds),
    // A number: vLLM reads it as bool(int(…)) when its service has started, and ends on a word (vllm/envs.py).
    VLLM_MEDIA_URL_ALLOW_REDIRECTS: '0',
    VLLM_NO_USAGE_STATS: '1'
  }
  const secrets: [string, SecretKey | undefined][] = [
    ...Object.entries(props.secretEnv ?? {}),
    // Whoever downloads has the token: the warm-up, or else the engine.
    ['HF_TOKEN', props.cache.warmUp === undefined ? props.hfTokenSecret : undefined],
    ['VLLM_API_KEY', props.engineKeySecret]
  ]
  return [
    ...Object.entries(values).map(([name, value]) => ({ name, value })),
    ...secrets.flatMap(([name, secret]) =>
      secret === undefined ? [] : [{ name, valueFrom: { secretKeyRef: { name: secret.name, key: secret.key } } }]
    )
  ]
}

/** With the weights there the hub is not asked; code that a model brings along is copied out of the read-only mount. */
function renderOffline({ warmUp, modelImage }: IModelCache): Record<string, string> {
  if (warmUp === undefined && modelImage === undefined) return {}
  return { HF_HUB_OFFLINE: '1', HF_MODULES_CACHE: `${CACHE_DIRECTORY}/hf-modules` }
}

/** Python asks for the name of user 2000, whom only the CUDA image knows, and takes this one. */
function renderAccelerator(accelerator: Accelerator | undefined): Record<string, string> {
  const { env, hasUser } = profileOf(accelerator)
  return { ...(hasUser ? {} : { LOGNAME: 'vllm' }), ...env }
}

/** vLLM answers its health path only after the model is loaded, so one path serves all three probes. */
function renderProbes(loadSeconds: number): Pick<k8s.Container, 'startupProbe' | 'readinessProbe' | 'livenessProbe'> {
  const httpGet = { path: ENGINE_HEALTH_PATH, port: k8s.IntOrString.fromString('http') }
  return {
    startupProbe: {
      httpGet,
      periodSeconds: STARTUP_PERIOD_SECONDS,
      timeoutSeconds: 5,
      failureThreshold: Math.ceil(loadSeconds / STARTUP_PERIOD_SECONDS)
    },
    readinessProbe: { httpGet, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2 },
    // A restart throws every running answer away and loads the model again: a minute of silence comes first.
    livenessProbe: { httpGet, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 }
  }
}

function renderResources(props: VllmContainerProps): k8s.ResourceRequirements {
  const gpus = props.gpus / (props.nodes ?? 1)
  const memory = gibibytesOf(props.memoryGiB ?? defaultMemoryGiB(gpus))
  const resource = props.gpuResource ?? profileOf(props.accelerator).resource
  const devices = resource === undefined ? {} : { [resource]: countOf(gpus) }
  return resourcesOf(props.cpu ?? defaultCpu(gpus), memory, devices)
}
