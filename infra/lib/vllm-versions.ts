// Which vLLM release dropped or added which flag, so that a flag it would refuse at start is refused at synth.
import { parseImage } from './image.ts'

/** A flag or variable that vLLM no longer takes. */
interface Removal {
  /** The first release without it. */
  readonly since: string
  /** What to do in its place. */
  readonly instead: string
}

const GUIDED_OPTION: Removal = { since: '0.12.0', instead: 'write it as a field of --structured-outputs-config' }

/**
 * Flags that stop `vllm serve` with "unrecognized arguments".
 * Sources: vllm-project/vllm#29402 and llm-d/llm-d-benchmark#781 (log requests), vllm-project/vllm#17452 and #18538
 * (reasoning), vllm-project/vllm#22779 (multi-step), #22772 and #29326 (guided decoding), vllm/config/lora.py of 0.11
 * (extra vocabulary), #36216 (swap space, absent since 0.18.0), release notes of 0.27 and 0.28 (the rest).
 */
export const REMOVED_FLAGS: Readonly<Record<string, Removal>> = {
  '--enable-reasoning': { since: '0.10.0', instead: 'write --reasoning-parser alone' },
  '--num-scheduler-steps': { since: '0.10.2', instead: 'leave it out: steps overlap by --async-scheduling' },
  '--multi-step-stream-outputs': { since: '0.10.2', instead: 'leave it out: every token is streamed' },
  '--guided-decoding-backend': { since: '0.12.0', instead: 'write --structured-outputs-config.backend' },
  '--guided-decoding-disable-fallback': GUIDED_OPTION,
  '--guided-decoding-disable-any-whitespace': GUIDED_OPTION,
  '--guided-decoding-disable-additional-properties': GUIDED_OPTION,
  '--lora-extra-vocab-size': { since: '0.12.0', instead: 'merge an adapter with tokens of its own into its model' },
  '--disable-log-requests': { since: '0.12.0', instead: 'requests are not logged by default' },
  '--swap-space': { since: '0.18.0', instead: 'write --kv-offloading-size for KV cache in host memory' },
  '--max-num-partial-prefills': { since: '0.27.0', instead: 'write --long-prefill-token-threshold' },
  '--max-long-partial-prefills': { since: '0.27.0', instead: 'write --long-prefill-token-threshold' },
  '--override-attention-dtype': { since: '0.28.0', instead: 'write settings.kvCacheDtype' },
  '--calculate-kv-scales': { since: '0.28.0', instead: 'use a checkpoint with calibrated KV scales' }
}

/** Environment variables that vLLM no longer reads. Source: OpenRLHF/OpenRLHF#1328. */
const REMOVED_VARIABLES: Readonly<Record<string, Removal>> = {
  VLLM_USE_V1: { since: '0.29.0', instead: 'there is only the V1 engine' }
}

/**
 * Flags that Sluice renders, and the first release that has them. Sources: vLLM's `--shutdown-timeout` (0.18.0),
 * vllm-project/vllm#49445 and #58192 (`--max-num-queued-reqs`, `--max-num-queued-tokens`, 0.29.0), #46768
 * (`--enable-per-request-metrics`, in 0.27).
 */
const ADDED_FLAGS: Readonly<Record<string, string>> = {
  '--shutdown-timeout': '0.18.0',
  '--enable-per-request-metrics': '0.27.0',
  '--max-num-queued-reqs': '0.29.0',
  '--max-num-queued-tokens': '0.29.0'
}

/** The vLLM version in an image's tag: `0.31.0` of `vllm/vllm-openai:v0.31.0-cu129`. */
export function readVllmVersion(image: string): string | undefined {
  return /^v?(\d+\.\d+\.\d+)(?![\d.])/.exec(parseImage(image)?.tag ?? '')?.[1]
}

/** The problem of a flag that `version` does not take any more. */
export function findRemovedFlag(flag: string, version: string): string | undefined {
  return describeRemoval(flag, REMOVED_FLAGS[flag], version)
}

/** The problem of an environment variable that `version` does not read any more. */
export function findRemovedVariable(variable: string, version: string): string | undefined {
  return describeRemoval(variable, REMOVED_VARIABLES[variable], version)
}

/** The problem of a flag that `version` does not take yet. */
export function findMissingFlag(flag: string, version: string): string | undefined {
  const since = ADDED_FLAGS[flag]
  if (since === undefined || !isOlder(version, since)) return undefined
  return `vLLM ${version} has no ${flag}; it came with ${since}`
}

function describeRemoval(name: string, removal: Removal | undefined, version: string): string | undefined {
  if (removal === undefined || isOlder(version, removal.since)) return undefined
  return `vLLM ${version} has no ${name} (removed in ${removal.since}): ${removal.instead}`
}

/** Whether one version comes before another, both as 0.31.0. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
