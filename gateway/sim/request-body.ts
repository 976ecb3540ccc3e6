// What every route of the engine makes of a body: its JSON, its shape, its conversation, its model.
import { z } from 'zod'
import { Refusal } from './refusal.ts'
import { renderChat } from './tokens.ts'

export interface Prompt {
  readonly text: string
  readonly tokens: readonly string[]
}

const contentPart = z.looseObject({ type: z.string(), text: z.string().optional() })
/** A conversation, as chat templates take it. */
export const messagesSchema = z.array(
  z.looseObject({ role: z.string(), content: z.union([z.string(), z.array(contentPart)]).nullish() })
)
export type Messages = z.output<typeof messagesSchema>

export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw new Refusal(400, `JSON decode error: ${(cause as Error).message}`)
  }
}

export function validate<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const param = issue?.path.join('.') ?? ''
  throw new Refusal(400, `${param || 'body'}: ${issue?.message ?? 'invalid'}`, param || null)
}

/** The words of a message; parts that are not text (images, sounds) count for nothing here. */
const readContent = (content: Messages[number]['content']) =>
  typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join('\n')

export function readChatPrompt(said: Messages): Prompt {
  const messages = said.map(({ role, content }) => ({ role, content: readContent(content) }))
  return { text: messages.at(-1)?.content ?? '', tokens: renderChat(messages) }
}

export function checkModel(model: string | null | undefined, models: readonly string[]): string {
  if (model === undefined || model === null) return models[0] ?? ''
  if (!models.includes(model)) throw new Refusal(404, `The model \`${model}\` does not exist.`, 'model')
  return model
}
