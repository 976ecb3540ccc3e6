// Chat completions as vLLM writes them, field by field, chunk by chunk.
import type { AnswerHead, Frames, WholeChoice } from './frames.ts'
import type { ScoredToken } from './output.ts'

const bytesOf = (text: string) => [...Buffer.from(text)]

const formatLogprobs = (scored: readonly ScoredToken[]) => ({
  content: scored.map(({ text, logprob, top }) => ({
    token: text,
    logprob,
    bytes: bytesOf(text),
    top_logprobs: top.map(([token, value]) => ({ token, logprob: value, bytes: bytesOf(token) }))
  }))
})

const formatWhole = ({ text, scored, finishReason, stopReason }: WholeChoice, index: number) => ({
  index,
  message: {
    role: 'assistant',
    content: text,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    reasoning: null
  },
  logprobs: scored ? formatLogprobs(scored) : null,
  finish_reason: finishReason,
  stop_reason: stopReason,
  token_ids: null,
  routed_experts: null
})

/** @see vllm/entrypoints/openai/chat_completion/serving.py and protocol.py of vLLM's main branch */
export function createChatFrames({ id, created, model, fingerprint }: AnswerHead): Frames {
  const head = { id, object: 'chat.completion.chunk', created, model }
  return {
    opening(index, usage) {
      const choice = { index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }
      return { ...head, choices: [choice], ...(usage && { usage }), prompt_token_ids: null, prompt_text: null }
    },
    chunk(index, { text, scored, finishReason, stopReason }, usage, isTerminal) {
      const choice = {
        index,
        delta: { content: text },
        logprobs: scored ? formatLogprobs([scored]) : null,
        finish_reason: finishReason,
        ...(finishReason !== null && { stop_reason: stopReason }),
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
      id,
      object: 'chat.completion',
      created,
      model,
      choices: choices.map(formatWhole),
      service_tier: null,
      system_fingerprint: fingerprint,
      usage: { ...usage, prompt_tokens_details: null },
      prompt_logprobs: null,
      prompt_token_ids: null,
      prompt_text: null,
      kv_transfer_params: null
    })
  }
}
