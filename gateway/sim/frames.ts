// The bodies of an answer, whole or in chunks: what chat and completions have in common.
import type { FinishReason, Output, ScoredToken } from './output.ts'

/** Token counts in vLLM's order. */
export interface Usage {
  readonly prompt_tokens: number
  readonly total_tokens: number
  readonly completion_tokens: number
}

export function countUsage(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens
  }
}

/** What every chunk of one answer repeats. */
export interface AnswerHead {
  readonly id: string
  /** In s. */
  readonly created: number
  readonly model: string
  readonly fingerprint: string
}

/** A finished choice of an answer in one piece. */
export interface WholeChoice {
  readonly text: string
  readonly scored: readonly ScoredToken[] | undefined
  readonly finishReason: FinishReason
  readonly stopReason: string | null
}

/** Writes one kind of answer. Chunks have only the fields that vLLM sets, in its order. */
export interface Frames {
  /** What comes with the first output, before it: chat's role chunk for a choice. */
  opening(index: number, usage: Usage | undefined): object | undefined
  /** @param isTerminal the fingerprint stands on a finish chunk that no usage chunk follows */
  chunk(index: number, output: Output, usage: Usage | undefined, isTerminal: boolean): object
  /** The chunk without choices that tells the tokens of the whole answer. */
  usage(usage: Usage): object
  whole(choices: readonly WholeChoice[], usage: Usage): object
}
