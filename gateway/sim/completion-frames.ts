// Text completions as vLLM writes them, field by field, chunk by chunk.
import type { AnswerHead, Frames, WholeChoice } from './frames.ts'
import type { ScoredToken } from './output.ts'

/** @param from where in the text of the choice the first of these tokens begins */
function formatLogprobs(scored: readonly ScoredToken[], from: number) {
  let offset = from
  const offsets = scored.map(({ text }) => {
    offset += text.length
    return offset - text.length
  })
  return {
    text_offset: offsets,
    token_logprobs: scored.map(({ logprob }) => logprob),
    tokens: scored.map(({ text }) => text),
    top_logprobs: scored.map(({ top }) => Object.fromEntries(top))
  }
}

const formatWhole = ({ text, scored, finishReason, stopReason }: WholeChoice, index: number, prefix: string) => ({
  index,
  text: prefix + text,
  logprobs: scored ? formatLogprobs(scored, 0) : null,
  finish_reason: finishReason,
  stop_reason: stopReason,
  token_ids: null,
  prompt_logprobs: null,
  prompt_token_ids: null,
  routed_experts: null
})

/**
 * @param prefixes with `echo`, what each choice begins with: its prompt
 * @see vllm/entrypoints/openai/completion/serving.py and protocol.py of vLLM's main branch
 */
export function createCompletionFrames(answer: AnswerHead, prefixes: readonly string[]): Frames {
  const { id, created, model, fingerprint } = answer
  const head = { id, object: 'text_completion', created, model }
  const written = prefixes.map(() => 0)
  return {
    opening: () => undefined,
    chunk(index, { text, scored, finishReason, stopReason }, usage, isTerminal) {
      const from = written[index] ?? 0
      const shown = from === 0 ? (prefixes[index] ?? '') + text : text
      written[index] = from + shown.length
      const choice = {
        index,
        text: shown,
        logprobs: scored ? formatLogprobs([scored], from) : null,
        finish_reason: finishReason,
        stop_reason: stopReason,
        prompt_token_ids: null,
        token_ids: null
      }
      return {
        ...head,
        choices: [choice],
        ...(usage && { usage }),
        ...(isTerminal && { system_fingerprint: fingerprint })
      }
    },
    usage: (usage) => ({ ...head, choices: [], usage, system_fingerprint: fingerprint }),
    whole: (choices, usage) => ({
      ...head,
      choices: choices.map((choice, index) => formatWhole(choice, index, prefixes[index] ?? '')),
      service_tier: null,
      system_fingerprint: fingerprint,
      usage: { ...usage, prompt_tokens_details: null },
      kv_transfer_params: null
    })
  }
}
