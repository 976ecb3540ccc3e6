// Reads the chunks of a chat completion: what each adds to the answer.

/**
 * @typedef {object} Piece
 * @property {string} text
 * @property {string} reasoning what a reasoning model thinks before it answers
 * @property {string | undefined} finishReason
 * @property {number | undefined} tokens of the whole answer, from the chunk that has the usage
 */

/** @typedef {{ content?: string | null, reasoning?: string | null, reasoning_content?: string | null }} Delta */
/** @typedef {{ delta?: Delta, finish_reason?: string | null }} Choice */

/**
 * @param {unknown} chunk a parsed `chat.completion.chunk`
 * @returns {Piece}
 */
export function readPiece(chunk) {
  const { choices, usage } = /** @type {{ choices?: Choice[], usage?: { completion_tokens?: number } | null }} */ (
    chunk
  )
  const { delta, finish_reason: finishReason } = choices?.[0] ?? {}
  return {
    text: delta?.content ?? '',
    // vLLM renamed the field; engines of both ages are about
    reasoning: delta?.reasoning ?? delta?.reasoning_content ?? '',
    finishReason: finishReason ?? undefined,
    tokens: usage?.completion_tokens
  }
}

/** @type {Readonly<Record<string, string>>} */
const ENDINGS = {
  length: 'The answer was cut at the output limit.',
  content_filter: 'The answer was cut by a content filter.',
  tool_calls: 'The model asked for a tool, which this page has none of.'
}

/**
 * What a reader should know of an ending; '' for an ordinary one.
 *
 * @param {string | undefined} finishReason
 */
export function describeEnding(finishReason) {
  return ENDINGS[finishReason ?? ''] ?? ''
}
