// Reads requests of the Responses and the Messages API as the chat requests that an engine makes of them.
import { z } from 'zod'

const part = z.looseObject({ type: z.string().optional(), text: z.string().optional() })
const content = z.union([z.string(), z.array(part)])
const turn = z.looseObject({ role: z.string().optional(), type: z.string().optional(), content: content.nullish() })

const shared = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  min_tokens: z.int().min(0).nullish(),
  ignore_eos: z.boolean().optional(),
  seed: z.int().nullish()
}

/** vllm/entrypoints/openai/responses/protocol.py */
export const responseSchema = z.looseObject({
  ...shared,
  input: z.union([z.string(), z.array(turn)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish()
})

/** vllm/entrypoints/anthropic/protocol.py */
export const messageSchema = z.looseObject({
  ...shared,
  messages: z.array(turn),
  system: content.nullish(),
  max_tokens: z.int().min(1),
  stop_sequences: z.array(z.string()).nullish()
})

type Turn = z.output<typeof turn>

/** Items that are no message (calls, reasoning) say nothing here. */
const toMessages = (turns: readonly Turn[], system: z.output<typeof content> | null | undefined) => [
  ...(system ? [{ role: 'system', content: system }] : []),
  ...turns.filter(({ role }) => role !== undefined).map((one) => ({ role: one.role, content: one.content ?? '' }))
]

/** The chat request of a response. */
export function fromResponse(body: z.output<typeof responseSchema>): object {
  const { input, instructions, max_output_tokens, ...rest } = body
  const turns = typeof input === 'string' ? [{ role: 'user', content: input }] : input
  return { ...rest, messages: toMessages(turns, instructions), max_tokens: max_output_tokens }
}

/** The chat request of a message. */
export function fromMessage(body: z.output<typeof messageSchema>): object {
  const { messages, system, stop_sequences, ...rest } = body
  return { ...rest, messages: toMessages(messages, system), stop: stop_sequences }
}
