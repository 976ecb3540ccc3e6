// Responses as vLLM writes them, field by field, event by event.
import type { AnswerHead, Usage, WholeChoice } from './frames.ts'
import type { NamedEvent, NamedFrames } from './named-answer.ts'

const formatUsage = ({ prompt_tokens, completion_tokens, total_tokens }: Usage) => ({
  input_tokens: prompt_tokens,
  input_tokens_details: { cached_tokens: 0, input_tokens_per_turn: [], cached_tokens_per_turn: [] },
  output_tokens: completion_tokens,
  output_tokens_details: { reasoning_tokens: 0, tool_output_tokens: 0 },
  total_tokens
})

/** vLLM's word for how a response ended; of one that it gave up it says so only for some models. */
const STATUS: Readonly<Record<string, string>> = { length: 'incomplete', abort: 'cancelled', error: 'failed' }

const partOf = (text: string) => ({ type: 'output_text', text, annotations: [], logprobs: null })

/** @see vllm/entrypoints/openai/responses/serving.py and protocol.py of vLLM's main branch */
export class ResponseFrames implements NamedFrames {
  readonly #head: AnswerHead
  readonly #itemId: string
  readonly #at: { item_id: string; output_index: number; content_index: number }
  #sequence = 0

  constructor(head: AnswerHead) {
    this.#head = head
    this.#itemId = head.id.replace('resp_', 'msg_')
    this.#at = { item_id: this.#itemId, output_index: 0, content_index: 0 }
  }

  opening(): NamedEvent[] {
    const response = this.#respond('in_progress', [], null)
    return this.#number([
      { type: 'response.created', response },
      { type: 'response.in_progress', response }
    ])
  }

  start(): NamedEvent[] {
    return this.#number([
      { type: 'response.output_item.added', output_index: 0, item: this.#itemOf([], 'in_progress') },
      { type: 'response.content_part.added', ...this.#at, part: partOf('') }
    ])
  }

  delta(delta: string): NamedEvent {
    return { type: 'response.output_text.delta', ...this.#at, delta, logprobs: [], sequence_number: this.#sequence++ }
  }

  closing(choice: WholeChoice, usage: Usage): NamedEvent[] {
    const { text } = choice
    const ends = [
      { type: 'response.output_text.done', ...this.#at, text, logprobs: [] },
      { type: 'response.content_part.done', ...this.#at, part: partOf(text) },
      { type: 'response.output_item.done', output_index: 0, item: this.#itemOf([partOf(text)], 'completed') }
    ]
    const response = this.#whole(choice, usage)
    const type = response.status === 'incomplete' ? 'response.incomplete' : 'response.completed'
    return this.#number([...(text === '' ? [] : ends), { type, response }])
  }

  failure(message: string): NamedEvent[] {
    const response = { ...this.#respond('failed', [], null), error: { code: 'server_error', message } }
    return this.#number([{ type: 'response.failed', response }])
  }

  whole([choice]: readonly WholeChoice[], usage: Usage): object {
    return choice === undefined ? this.#respond('failed', [], null) : this.#whole(choice, usage)
  }

  #whole({ text, finishReason }: WholeChoice, usage: Usage) {
    const output = text === '' ? [] : [this.#itemOf([partOf(text)], 'completed')]
    return this.#respond(STATUS[finishReason] ?? 'completed', output, formatUsage(usage))
  }

  #itemOf(content: readonly object[], status: string): object {
    return { id: this.#itemId, type: 'message', role: 'assistant', status, content }
  }

  #respond(status: string, output: readonly object[], usage: object | null) {
    const { id, created, model } = this.#head
    return {
      id,
      object: 'response',
      created_at: created,
      status,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      instructions: null,
      metadata: null,
      model,
      output,
      parallel_tool_calls: true,
      temperature: 1,
      tool_choice: 'auto',
      tools: [],
      top_p: 1,
      usage
    }
  }

  #number(events: readonly NamedEvent[]): NamedEvent[] {
    return events.map((event) => ({ ...event, sequence_number: this.#sequence++ }))
  }
}
