// Counts what the load generator gets between two marks: tokens, their delays, finished requests.
import { nowUs, sinceStamp } from '../clock.ts'
import { quantile } from '../figures.ts'

/** What came between `mark` and `collect`. */
export interface Figures {
  readonly seconds: number
  readonly tokens: number
  readonly requests: number
  /** Milliseconds between the engine's write and the client's read, over all tokens; null without one. */
  readonly delayP50Ms: number | null
  readonly delayP99Ms: number | null
}

/** Enough for 20 s at 50,000 tokens/s; what comes after is counted, but not timed. */
const MAX_DELAYS = 1_048_576

export class Recorder {
  readonly #delaysUs = new Float64Array(MAX_DELAYS)
  #markedAtUs = nowUs()
  #tokens = 0
  #requests = 0

  token(stamp: number, atUs: number): void {
    if (this.#tokens < MAX_DELAYS) this.#delaysUs[this.#tokens] = sinceStamp(stamp, atUs)
    this.#tokens++
  }

  request(): void {
    this.#requests++
  }

  mark(): void {
    this.#tokens = 0
    this.#requests = 0
    this.#markedAtUs = nowUs()
  }

  collect(): Figures {
    const seconds = (nowUs() - this.#markedAtUs) / 1e6
    const sorted = this.#delaysUs.slice(0, Math.min(this.#tokens, MAX_DELAYS)).sort()
    const toMs = (share: number) => (sorted.length === 0 ? null : quantile(sorted, share) / 1000)
    return {
      seconds,
      tokens: this.#tokens,
      requests: this.#requests,
      delayP50Ms: toMs(0.5),
      delayP99Ms: toMs(0.99)
    }
  }
}
