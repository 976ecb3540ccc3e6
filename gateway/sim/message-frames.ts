// Messages of Anthropic's API as vLLM writes them, field by field, event by event.
import type { AnswerHead, Usage, WholeChoice } from './frames.ts'
import type { NamedFrames } from './named-answer.ts'

/** Anthropic has no word for an answer that the engine gave up, so vLLM has none. */
const REASONS: Readonly<Record<string, string>> = { stop: 'end_turn', length: 'max_tokens' }

const formatUsage = ({ prompt_tokens, completion_tokens }: Usage) => ({
  input_tokens: prompt_tokens,
  output_tokens: completion_tokens
})

/** @see vllm/entrypoints/anthropic/serving.py and protocol.py of vLLM's main branch */
export function createMessageFrames({ id, model }: AnswerHead): NamedFrames {
  const head = { id, type: 'message', role: 'assistant' }
  const readReason = ({ finishReason }: WholeChoice) => REASONS[finishReason] ?? null
  return {
    // the first chunk comes with the first output
    opening: () => [],
    start() {
      const usage = { input_tokens: 0, output_tokens: 0 }
      return [
        {
          type: 'message_start',
          message: { ...head, content: [], model, stop_reason: null, stop_sequence: null, usage }
        },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }
      ]
    },
    delta: (text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    closing: (choice, usage) => [
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: readReason(choice) }, usage: formatUsage(usage) },
      { type: 'message_stop' }
    ],
    failure: (message) => [{ type: 'error', error: { type: 'internal_error', message } }],
    whole([choice], usage) {
      // vLLM leaves out what is null
      const reason = choice === undefined ? null : readReason(choice)
      const content = choice === undefined ? [] : [{ type: 'text', text: choice.text }]
      return { ...head, content, model, ...(reason === null ? {} : { stop_reason: reason }), usage: formatUsage(usage) }
    }
  }
}
