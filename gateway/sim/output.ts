// What one choice of an answer puts out in one step of the engine.

/** Why a choice ended, as vLLM names it. */
export type FinishReason = 'stop' | 'length' | 'abort' | 'error' | 'repetition'

/** A token with its log probability, and what might have stood in its place, the likeliest first. */
export interface ScoredToken {
  readonly text: string
  readonly logprob: number
  readonly top: readonly (readonly [text: string, logprob: number])[]
}

export interface Output {
  /** What can be shown now: less than the token while a stop string may have begun, empty for the end of the text. */
  readonly text: string
  /** 1, or 0 for a choice that ends without another token. */
  readonly tokens: 0 | 1
  /** There when log probabilities were asked for and there is a token. */
  readonly scored?: ScoredToken
  readonly finishReason: FinishReason | null
  /** The stop string that ended the choice. */
  readonly stopReason: string | null
}

/** How the engine ends a choice that it does not want to go on with. */
export const ABORTED: Output = { text: '', tokens: 0, finishReason: 'abort', stopReason: null }
