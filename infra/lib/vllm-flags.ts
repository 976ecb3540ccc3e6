// vLLM's settings as typed properties, and their rendering to the arguments of `vllm serve`.

/**
 * The settings of one engine that Sluice knows by name; the rest goes into `extraArgs`.
 * Source of each flag: vllm/entrypoints/openai/cli_args.py and vllm/engine/arg_utils.py.
 */
export interface VllmSettings {
  /** Hugging Face repository or path of the weights: the positional argument. */
  readonly model: string
  /** Branch, tag or commit of the repository (`--revision`). @default the repository's default branch */
  readonly revision?: string
  /** GPUs that one layer is split over (`--tensor-parallel-size`). @default 1 */
  readonly tensorParallelSize?: number
  /** Stages that the layers are split into (`--pipeline-parallel-size`). @default 1 */
  readonly pipelineParallelSize?: number
  /** Context length in tokens, prompt and output together (`--max-model-len`). @default the model's own */
  readonly maxModelLen?: number
  /** Sequences that run in one step (`--max-num-seqs`). @default 256 */
  readonly maxNumSeqs?: number
  /** Tokens of one step (`--max-num-batched-tokens`). @default vLLM's choice for the GPU */
  readonly maxNumBatchedTokens?: number
  /** Share of the GPU's memory that vLLM takes, 0 to 1 (`--gpu-memory-utilization`). @default vLLM's */
  readonly gpuMemoryUtilization?: number
  /** Type of weights and activations (`--dtype`). @default auto: the checkpoint's */
  readonly dtype?: 'auto' | 'bfloat16' | 'float16' | 'float32'
  /** How the weights are quantized (`--quantization`). @default what the checkpoint says */
  readonly quantization?: string
  /** Type of the KV cache (`--kv-cache-dtype`). @default auto: the model's */
  readonly kvCacheDtype?: string
  /** Reuse of equal prefixes (`--enable-prefix-caching`, `--no-enable-prefix-caching`). @default vLLM's: on */
  readonly enablePrefixCaching?: boolean
  /**
   * Requests that may wait and run in the engine; one more gets 503, which the gateway retries elsewhere
   * (`--max-num-queued-reqs`, vLLM 0.29 and later). @default no limit: the gateway's queue is the limit
   */
  readonly maxNumQueuedReqs?: number
  /** Further arguments, last, as written. Flags that Sluice renders itself are refused. @default none */
  readonly extraArgs?: readonly string[]
}

/** What the pod decides, and not the model's settings. */
export interface VllmServing {
  /** The name that clients send. */
  readonly servedModelName: string
  /** TCP port of the HTTP server. */
  readonly port: number
  /** Seconds that running requests may finish in after SIGTERM; vLLM's default 0 aborts them. */
  readonly shutdownTimeoutSeconds: number
}

export const DEFAULT_MAX_NUM_SEQS = 256

/** Flags that are refused in `extraArgs`, each with the way to say it. */
export const RESERVED_FLAGS: Readonly<Record<string, string>> = {
  '--model': 'write settings.model',
  '--served-model-name': 'write servedName',
  '--revision': 'write settings.revision',
  '--tensor-parallel-size': 'write settings.tensorParallelSize',
  '-tp': 'write settings.tensorParallelSize',
  '--pipeline-parallel-size': 'write settings.pipelineParallelSize',
  '-pp': 'write settings.pipelineParallelSize',
  '--max-model-len': 'write settings.maxModelLen',
  '--max-num-seqs': 'write settings.maxNumSeqs',
  '--max-num-batched-tokens': 'write settings.maxNumBatchedTokens',
  '--gpu-memory-utilization': 'write settings.gpuMemoryUtilization',
  '--dtype': 'write settings.dtype',
  '--quantization': 'write settings.quantization',
  '-q': 'write settings.quantization',
  '--kv-cache-dtype': 'write settings.kvCacheDtype',
  '--enable-prefix-caching': 'write settings.enablePrefixCaching',
  '--no-enable-prefix-caching': 'write settings.enablePrefixCaching: false',
  '--max-num-queued-reqs': 'write settings.maxNumQueuedReqs',
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
  '--nnodes': 'an engine runs in one pod',
  '--headless': 'an engine has an HTTP server'
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
    ...flag('--tensor-parallel-size', settings.tensorParallelSize ?? 1),
    ...flag('--pipeline-parallel-size', settings.pipelineParallelSize ?? 1),
    ...flag('--max-model-len', settings.maxModelLen),
    ...flag('--max-num-seqs', settings.maxNumSeqs ?? DEFAULT_MAX_NUM_SEQS),
    ...flag('--max-num-batched-tokens', settings.maxNumBatchedTokens),
    ...flag('--gpu-memory-utilization', settings.gpuMemoryUtilization),
    ...flag('--dtype', settings.dtype),
    ...flag('--quantization', settings.quantization),
    ...flag('--kv-cache-dtype', settings.kvCacheDtype),
    ...toggle('enable-prefix-caching', settings.enablePrefixCaching),
    ...flag('--max-num-queued-reqs', settings.maxNumQueuedReqs),
    ...flag('--shutdown-timeout', serving.shutdownTimeoutSeconds),
    '--enable-request-id-headers',
    ...flag('--disable-access-log-for-endpoints', '/health,/metrics,/ping'),
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

function toggle(name: string, value: boolean | undefined): string[] {
  return value === undefined ? [] : [value ? `--${name}` : `--no-${name}`]
}
