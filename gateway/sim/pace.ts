// The latency model, pure: how long the prefill of a prompt takes and how long a step of the whole batch takes.

/** How fast an engine is. Times are means in ms. */
export interface Pace {
  /** The part of a prefill that every prompt costs, however short. */
  readonly prefillOverheadMs: number
  /** The part of a prefill that grows with the prompt, for each token that is not cached. */
  readonly prefillPerTokenMs: number
  /** The time of a step with one sequence: the inter-token latency of an idle engine. 0 generates as fast as it can. */
  readonly interTokenMs: number
  /** How much longer a step of a full batch takes; linear in between. At least 1. */
  readonly loadFactor: number
  /** Standard deviation of a step and of a prefill, as a part of the mean. */
  readonly jitter: number
}

/** Llama 8B on one H100, and 70B on eight: the latency profiles that llm-d-inference-sim publishes. */
const PACES = {
  '8b-h100': { prefillOverheadMs: 30, prefillPerTokenMs: 0.25, interTokenMs: 12, loadFactor: 2, jitter: 0.1 },
  '70b-h100x8': { prefillOverheadMs: 80, prefillPerTokenMs: 0.5, interTokenMs: 25, loadFactor: 3, jitter: 0.1 }
} as const satisfies Record<string, Pace>

export const DEFAULT_PACE: Pace = PACES['8b-h100']

/** No sample is further from its mean than this part of it. */
const MAX_DEVIATION = 0.7

/** A sample about `meanMs`: triangular, which has a standard deviation of 1/√6 of its half width. */
function sampleMs(meanMs: number, jitter: number, random: () => number): number {
  const deviation = jitter * Math.sqrt(6) * (random() + random() - 1)
  return meanMs * (1 + Math.max(-MAX_DEVIATION, Math.min(MAX_DEVIATION, deviation)))
}

/** How long one step takes that gives each of `batch` sequences a token. */
export function stepMs(pace: Pace, batch: number, maxNumSeqs: number, random: () => number): number {
  const load = maxNumSeqs > 1 ? Math.min(1, Math.max(0, batch - 1) / (maxNumSeqs - 1)) : 0
  return sampleMs(pace.interTokenMs * (1 + (pace.loadFactor - 1) * load), pace.jitter, random)
}

/** When a prefill ends, and until when it keeps the GPU from the next one. */
export interface Prefill {
  readonly readyAtMs: number
  readonly busyUntilMs: number
}

/** Prompts share the GPU: what they cost by token queues up behind `busyUntilMs`, the overhead of each overlaps. */
export function planPrefill(
  pace: Pace,
  tokens: number,
  nowMs: number,
  busyUntilMs: number,
  random: () => number
): Prefill {
  const busy = Math.max(nowMs, busyUntilMs) + sampleMs(pace.prefillPerTokenMs * tokens, pace.jitter, random)
  return { busyUntilMs: busy, readyAtMs: busy + sampleMs(pace.prefillOverheadMs, pace.jitter, random) }
}
