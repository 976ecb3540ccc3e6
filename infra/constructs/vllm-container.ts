// The container of an engine: arguments, environment, probes, shutdown, resources and mounts.
import { k8s } from 'cdk8s-plus-28'
import { ENGINE_HEALTH_PATH, PORTS, type TimeBudget } from '../../gateway/contract.ts'
import { type PodNeed, restrictContainer } from '../lib/pod-security.ts'
import type { SecretKey } from '../lib/secret.ts'
import { renderVllmArgs, type VllmSettings } from '../lib/vllm-flags.ts'
import { defaultMemoryGiB } from '../lib/vllm-resources.ts'

/** Names of the pod's volumes that the container mounts. */
export const CACHE_VOLUME = 'model-cache'
export const SHARED_MEMORY_VOLUME = 'shared-memory'

/** Everything below is kept over restarts when the cache is: weights, compiled graphs, tuned kernels. */
const CACHE_DIRECTORY = '/home/vllm/.cache'
const STARTUP_PERIOD_SECONDS = 10

/** Properties of an engine's container. */
export interface VllmContainerProps {
  /** Pinned image, as `vllm/vllm-openai:v0.31.0`. */
  readonly image: string
  /** The name that clients send (`--served-model-name`). */
  readonly servedModelName: string
  readonly settings: VllmSettings
  /** GPUs of one replica: tensor parallel size times pipeline parallel size. */
  readonly gpus: number
  /** Extended resource of the device plugin. @default nvidia.com/gpu */
  readonly gpuResource?: string
  /** The engine's part of the region's time budget. */
  readonly budget: TimeBudget['engine']
  /** Seconds from the container's start to a loaded model; then the kubelet restarts it. @default 1800 */
  readonly loadSeconds?: number
  /** CPU cores that are requested; the limit is twice as much. @default 4 a GPU */
  readonly cpu?: number
  /** Host memory in GiB, request and limit, shared memory included. @default 32 a GPU */
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

/** Renders the container `vllm`. */
export function renderVllmContainer(props: VllmContainerProps): k8s.Container {
  const loadSeconds = props.loadSeconds ?? DEFAULT_LOAD_SECONDS
  const { preStopSeconds, shutdownTimeoutSeconds } = props.budget
  return {
    name: 'vllm',
    image: props.image,
    imagePullPolicy: 'IfNotPresent',
    command: ['vllm', 'serve'],
    args: renderVllmArgs(props.settings, {
      servedModelName: props.servedModelName,
      port: PORTS.engine,
      shutdownTimeoutSeconds
    }),
    env: renderEnvironment(props, loadSeconds),
    ports: [{ name: 'http', containerPort: PORTS.engine }],
    ...renderProbes(loadSeconds),
    // A lifecycle action `sleep` needs Kubernetes 1.30; the image has the program.
    lifecycle: { preStop: { exec: { command: ['sleep', String(preStopSeconds)] } } },
    resources: renderResources(props),
    // NVIDIA's CDI hooks write /etc/ld.so.cache into the container's root at its start, so the root stays writable
    // (https://github.com/kserve/kserve, config-llm-template.yaml); `restricted` does not ask for more.
    securityContext: restrictContainer({ readOnlyRoot: false, needs: props.podNeeds ?? [] }),
    volumeMounts: [
      { name: CACHE_VOLUME, mountPath: CACHE_DIRECTORY },
      { name: SHARED_MEMORY_VOLUME, mountPath: '/dev/shm' }
    ]
  }
}

function renderEnvironment(props: VllmContainerProps, loadSeconds: number): k8s.EnvVar[] {
  const values: Record<string, string> = {
    // A hub that can't be reached would be waited for, at every start.
    ...(props.offline === true ? { HF_HUB_OFFLINE: '1' } : {}),
    ...props.env,
    HOME: '/home/vllm',
    HF_HOME: `${CACHE_DIRECTORY}/huggingface`,
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
    ['HF_TOKEN', props.hfTokenSecret],
    ['VLLM_API_KEY', props.engineKeySecret]
  ]
  return [
    ...Object.entries(values).map(([name, value]) => ({ name, value })),
    ...secrets.flatMap(([name, secret]) =>
      secret === undefined ? [] : [{ name, valueFrom: { secretKeyRef: { name: secret.name, key: secret.key } } }]
    )
  ]
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
  const cpu = props.cpu ?? 4 * props.gpus
  const memory = k8s.Quantity.fromString(`${props.memoryGiB ?? defaultMemoryGiB(props.gpus)}Gi`)
  const gpus = { [props.gpuResource ?? 'nvidia.com/gpu']: k8s.Quantity.fromNumber(props.gpus) }
  return {
    requests: { cpu: k8s.Quantity.fromNumber(cpu), memory, ...gpus },
    limits: { cpu: k8s.Quantity.fromNumber(cpu * 2), memory, ...gpus }
  }
}
