// The arguments of `vllm serve`, and the flags that nobody else may set.
import { renderSettings, SETTING_FLAGS, type VllmSettings } from './vllm-settings.ts'

/** What the pod decides, and not the model's settings. */
export interface VllmServing {
  /** The name that clients send. */
  readonly servedModelName: string
  /** TCP port of the HTTP server. */
  readonly port: number
  /** Seconds that running requests may finish in after SIGTERM; vLLM's default 0 aborts them. */
  readonly shutdownTimeoutSeconds: number
  /** LoRA adapters, each with the name that clients send and its repository or path. @default none */
  readonly adapters?: readonly { readonly name: string; readonly path: string }[]
  /** The part of this pod in an engine of several nodes. @default one pod is the engine */
  readonly node?: { readonly role: 'leader' | 'worker'; readonly of: number }
}

/** Adapters that one batch may mix when the settings do not say it: a slot costs GPU memory. */
const MAX_LORAS = 8

/** Flags that are refused in `extraArgs`, each with the way to say it. */
export const RESERVED_FLAGS: Readonly<Record<string, string>> = {
  ...reserveSettings(),
  '--model': 'write settings.model',
  '--served-model-name': 'write servedName',
  '--revision': 'write settings.revision',
  '-tp': 'write settings.tensorParallelSize',
  '-pp': 'write settings.pipelineParallelSize',
  '-q': 'write settings.quantization',
  '--shutdown-timeout': 'it follows from the time budget',
  '--api-key': 'write engineKeySecret: an argument shows in every listing of the pod',
  '--hf-token': 'write hfTokenSecret: an argument shows in every listing of the pod',
  '--host': 'an engine listens on every address of its pod',
  '--port': 'probes, Service and gateway agree on the port',
  '--uds': 'the gateway speaks TCP',
  '--root-path': 'the gateway calls /v1',
  '--config': 'a file could set any flag that is checked here; write settings',
  '--grpc': 'the gateway speaks HTTP',
  '--ssl-keyfile': 'probes and gateway speak plain HTTP inside the cluster',
  '--ssl-certfile': 'probes and gateway speak plain HTTP inside the cluster',
  '--download-dir': "weights are kept in the placement's cache",
  '--enable-request-id-headers': 'it is always on',
  '--disable-access-log-for-endpoints': 'the probes are left out of the log',
  '--data-parallel-size': 'write replicas: one engine a pod',
  '-dp': 'write replicas: one engine a pod',
  '--enable-lora': 'write adapters',
  '--lora-modules': 'write adapters',
  '--nnodes': 'write nodes',
  '--node-rank': 'write nodes',
  '--master-addr': 'write nodes',
  '--headless': 'write nodes; an engine has an HTTP server'
}

/** Every flag of a setting, and its negation, with the setting's name. */
function reserveSettings(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(SETTING_FLAGS).flatMap(([setting, [flag, rendering]]) => [
      [flag, `write settings.${setting}`],
      ...(rendering === 'toggle' || rendering === 'switch'
        ? [[flag.replace('--', '--no-'), `write settings.${setting}: false`]]
        : [])
    ])
  )
}

/** The parts of an argument that holds a flag and its value, which vLLM takes for one flag of a strange name. */
export function splitFlagAndValue(argument: string): [flag: string, value: string] | undefined {
  const [, flag, value] = /^(--?[A-Za-z][^\s=]*)\s+(.*\S)\s*$/s.exec(argument) ?? []
  return flag === undefined || value === undefined ? undefined : [flag, value]
}

/** The arguments of `vllm serve`, in a stable order, the extra ones last. */
export function renderVllmArgs(settings: VllmSettings, serving: VllmServing): string[] {
  return [
    settings.model,
    ...flag('--revision', settings.revision),
    ...flag('--served-model-name', serving.servedModelName),
    ...flag('--port', serving.port),
    ...renderSettings({ ...defaultLoras(serving.adapters?.length ?? 0), ...settings }),
    ...renderAdapters(serving),
    ...flag('--shutdown-timeout', serving.shutdownTimeoutSeconds),
    '--enable-request-id-headers',
    ...flag('--disable-access-log-for-endpoints', '/health,/metrics,/ping'),
    ...renderNode(serving.node),
    ...(settings.extraArgs ?? [])
  ]
}

/** The flag in an argument, in vLLM's own spelling: `--max_model_len=4096` is `--max-model-len`. */
export function readFlag(argument: string): string | undefined {
  if (!/^-{1,2}[A-Za-z]/.test(argument)) return undefined
  return argument.split('=', 1)[0]?.replaceAll('_', '-')
}

function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`${name}=${value}`]
}

function defaultLoras(adapters: number): Pick<VllmSettings, 'maxLoras'> {
  return adapters === 0 ? {} : { maxLoras: Math.min(adapters, MAX_LORAS) }
}

/**
 * One argument an adapter, as JSON, which also says the base model: vLLM, docs/features/lora.md. Flags follow, so that
 * the list of values ends.
 */
function renderAdapters({ adapters = [], servedModelName }: VllmServing): string[] {
  if (adapters.length === 0) return []
  const modules = adapters.map(({ name, path }) => JSON.stringify({ name, path, base_model_name: servedModelName }))
  return ['--enable-lora', '--lora-modules', ...modules]
}

/**
 * One process group over several pods, without Ray: vLLM, docs/serving/parallelism_scaling.md. The kubelet puts in
 * what LeaderWorkerSet sets in each container (0.6 and later).
 */
function renderNode(node: VllmServing['node']): string[] {
  if (node === undefined) return []
  return [
    ...flag('--nnodes', node.of),
    ...flag('--node-rank', node.role === 'leader' ? 0 : '$(LWS_WORKER_INDEX)'),
    ...flag('--master-addr', '$(LWS_LEADER_ADDRESS)'),
    ...(node.role === 'worker' ? ['--headless'] : [])
  ]
}
