// Token counts, in whichever words an API tells them.

/** Token counts as the engine reports them. */
export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
}

/** The counts of an answer: OpenAI's older names, or those of Responses and Messages. */
export interface SaidUsage {
  readonly prompt_tokens?: unknown
  readonly completion_tokens?: unknown
  readonly input_tokens?: unknown
  readonly output_tokens?: unknown
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/**
 * Token counts of `usage`, or undefined where it has none, or anything that is no count: they are added to counters that
 * a text, a fraction or a negative number would spoil for as long as the process lives.
 */
export function toUsage(usage: SaidUsage | null | undefined): Usage | undefined {
  const promptTokens = usage?.prompt_tokens ?? usage?.input_tokens
  const completionTokens = usage?.completion_tokens ?? usage?.output_tokens ?? 0
  if (!isCount(promptTokens) || !isCount(completionTokens)) return undefined
  return { promptTokens, completionTokens }
}
