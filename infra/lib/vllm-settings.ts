// vLLM's settings as typed properties, and the flag of each.

/** The ranks that vLLM makes room for. Source: vllm/config/lora.py. */
export const LORA_RANKS = [1, 8, 16, 32, 64, 128, 256, 320, 512] as const

/** How weights are read. Source: vllm/config/load.py; the streamer: vLLM, docs/models/extensions/runai_model_streamer.md. */
export const LOAD_FORMATS = [
  'auto',
  'safetensors',
  'fastsafetensors',
  'runai_streamer',
  'runai_streamer_sharded',
  'tensorizer',
  'mistral',
  'dummy'
] as const

/**
 * The settings of one engine that Sluice knows by name; the rest goes into `extraArgs`.
 * Source of each flag, where none is named: vllm/entrypoints/openai/cli_args.py, vllm/engine/arg_utils.py, vllm/config/*.
 */
export interface VllmSettings {
  /**
   * The weights, the positional argument: a Hugging Face repository, an absolute path, or a bucket's address as
   * `s3://bucket/path`, `gs://…` or `az://…`, from which they are streamed.
   */
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
   * Requests that may wait and run in the engine; one more gets 503, and waits in the gateway
   * (`--max-num-queued-reqs`, vLLM 0.29 and later). @default no limit: the gateway's queue is the limit
   */
  readonly maxNumQueuedReqs?: number
  /** The same limit in prompt tokens (`--max-num-queued-tokens`, vLLM 0.29 and later). @default no limit */
  readonly maxNumQueuedTokens?: number
  /**
   * Long prompts are computed in parts, between the steps of running answers (`--enable-chunked-prefill`,
   * `--no-enable-chunked-prefill`). @default vLLM's: on
   */
  readonly enableChunkedPrefill?: boolean
  /** A prompt of more tokens than this counts as long (`--long-prefill-token-threshold`). @default 0: none does */
  readonly longPrefillTokenThreshold?: number
  /** Order of the engine's queue (`--scheduling-policy`). @default fcfs */
  readonly schedulingPolicy?: 'fcfs' | 'priority'
  /** Tokens of a block of the KV cache (`--block-size`). @default vLLM's choice for the GPU */
  readonly blockSize?: number
  /** GiB of host memory that take KV cache from the GPU (`--kv-offloading-size`). @default none */
  readonly kvOffloadingSize?: number
  /** Experts of a mixture are spread over the GPUs (`--enable-expert-parallel`). @default false */
  readonly enableExpertParallel?: boolean
  /** No compiled graphs: a faster start, slower tokens (`--enforce-eager`). @default false */
  readonly enforceEager?: boolean
  /** Speculative decoding, as vLLM's JSON has it (`--speculative-config`). @default none */
  readonly speculativeConfig?: Readonly<Record<string, unknown>>
  /**
   * Times of each request on its last chunk: queue, first token, between tokens (`--enable-per-request-metrics`,
   * vLLM 0.27 and later; vllm-project/vllm#46768). @default false
   */
  readonly enablePerRequestMetrics?: boolean
  /** Cached tokens in the usage (`--enable-prompt-tokens-details`). @default false */
  readonly enablePromptTokensDetails?: boolean
  /** How weights are read (`--load-format`). @default runai_streamer for a bucket, otherwise vLLM's: auto */
  readonly loadFormat?: (typeof LOAD_FORMATS)[number]
  /** The loader's own settings, as `{ concurrency: 16 }` of the streamer (`--model-loader-extra-config`). @default none */
  readonly loaderConfig?: Readonly<Record<string, string | number | boolean>>
  /** Adapters that one batch may mix (`--max-loras`). @default as many as the model has, at most 8 */
  readonly maxLoras?: number
  /** The largest rank of an adapter (`--max-lora-rank`). @default vLLM's: 16 */
  readonly maxLoraRank?: (typeof LORA_RANKS)[number]
  /** Adapters that are kept in host memory (`--max-cpu-loras`). @default vLLM's: as maxLoras */
  readonly maxCpuLoras?: number
  /** Further arguments, last, as written. Flags that Sluice renders itself are refused. @default none */
  readonly extraArgs?: readonly string[]
}

const DEFAULT_MAX_NUM_SEQS = 256

/** How a setting becomes arguments: `--flag=value`, `--flag=<JSON>`, `--flag` or `--no-flag`, `--flag` or nothing. */
type Rendering = 'value' | 'json' | 'toggle' | 'switch'

/** Settings that are a flag and nothing more, in the order in which they are rendered. */
export const SETTING_FLAGS = {
  tensorParallelSize: ['--tensor-parallel-size', 'value'],
  pipelineParallelSize: ['--pipeline-parallel-size', 'value'],
  maxModelLen: ['--max-model-len', 'value'],
  maxNumSeqs: ['--max-num-seqs', 'value'],
  maxNumBatchedTokens: ['--max-num-batched-tokens', 'value'],
  gpuMemoryUtilization: ['--gpu-memory-utilization', 'value'],
  dtype: ['--dtype', 'value'],
  quantization: ['--quantization', 'value'],
  kvCacheDtype: ['--kv-cache-dtype', 'value'],
  enablePrefixCaching: ['--enable-prefix-caching', 'toggle'],
  maxNumQueuedReqs: ['--max-num-queued-reqs', 'value'],
  maxNumQueuedTokens: ['--max-num-queued-tokens', 'value'],
  enableChunkedPrefill: ['--enable-chunked-prefill', 'toggle'],
  longPrefillTokenThreshold: ['--long-prefill-token-threshold', 'value'],
  schedulingPolicy: ['--scheduling-policy', 'value'],
  blockSize: ['--block-size', 'value'],
  kvOffloadingSize: ['--kv-offloading-size', 'value'],
  enableExpertParallel: ['--enable-expert-parallel', 'switch'],
  enforceEager: ['--enforce-eager', 'switch'],
  speculativeConfig: ['--speculative-config', 'json'],
  enablePerRequestMetrics: ['--enable-per-request-metrics', 'switch'],
  enablePromptTokensDetails: ['--enable-prompt-tokens-details', 'switch'],
  loadFormat: ['--load-format', 'value'],
  loaderConfig: ['--model-loader-extra-config', 'json'],
  maxLoras: ['--max-loras', 'value'],
  maxLoraRank: ['--max-lora-rank', 'value'],
  maxCpuLoras: ['--max-cpu-loras', 'value']
} as const satisfies Readonly<Partial<Record<keyof VllmSettings, readonly [flag: string, rendering: Rendering]>>>

/** Whether the weights are in a bucket, from which vLLM streams them into the GPU. */
export function isBucket(model: string): boolean {
  return /^(s3|gs|az):\/\//.test(model)
}

/** Whether the weights are a repository of the Hugging Face hub, and neither a path nor a bucket. */
export function isRepository(model: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)?$/.test(model)
}

/** The arguments of the settings that are flags and nothing more. */
export function renderSettings(settings: VllmSettings): string[] {
  const filled: VllmSettings = {
    tensorParallelSize: 1,
    pipelineParallelSize: 1,
    maxNumSeqs: DEFAULT_MAX_NUM_SEQS,
    ...(isBucket(settings.model) ? { loadFormat: 'runai_streamer' } : {}),
    ...settings
  }
  return Object.entries(SETTING_FLAGS).flatMap(([key, [flag, rendering]]) => {
    const value = filled[key as keyof typeof SETTING_FLAGS]
    return value === undefined ? [] : renderSetting(flag, rendering, value)
  })
}

function renderSetting(flag: string, rendering: Rendering, value: unknown): string[] {
  switch (rendering) {
    case 'value':
      return [`${flag}=${value}`]
    case 'json':
      return [`${flag}=${JSON.stringify(value)}`]
    case 'toggle':
      return [value === true ? flag : flag.replace('--', '--no-')]
    case 'switch':
      return value === true ? [flag] : []
  }
}
