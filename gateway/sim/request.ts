// Reads the body of a generation request as vLLM does: its fields, its defaults, its refusals.
import { z } from 'zod'
import { fromMessage, fromResponse, messageSchema, responseSchema } from './chat-body.ts'
import { Refusal } from './refusal.ts'
import { checkModel, messagesSchema, type Prompt, parseJson, readChatPrompt, validate } from './request-body.ts'
import { tokenize } from './tokens.ts'
import type { Upload } from './upload.ts'

export type RequestKind = 'chat' | 'completion' | 'response' | 'message' | 'transcription' | 'translation'

/** A request with every default filled in. */
export interface GenerationRequest {
  readonly kind: RequestKind
  readonly model: string
  readonly prompts: readonly Prompt[]
  /** Choices of each prompt. */
  readonly n: number
  readonly maxTokens: number
  readonly minTokens: number
  readonly stop: readonly string[]
  readonly includeStop: boolean
  readonly ignoreEos: boolean
  /** How many alternatives to each token; undefined asks for no log probability. */
  readonly logprobs: number | undefined
  /** Completions only: the prompt comes back before the answer. */
  readonly echo: boolean
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly continuousUsage: boolean
  readonly seed: number | undefined
}

/** What the engine serves. */
export interface RequestLimits {
  readonly models: readonly string[]
  readonly maxModelLen: number
}

const tokensField = z.int().min(1).nullish()
const shared = {
  model: z.string().nullish(),
  n: z.int().min(1).max(16_384).nullish(),
  max_tokens: tokensField,
  min_tokens: z.int().min(0).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1))]).nullish(),
  include_stop_str_in_output: z.boolean().optional(),
  ignore_eos: z.boolean().optional(),
  stream: z.boolean().nullish(),
  stream_options: z
    .looseObject({ include_usage: z.boolean().nullish(), continuous_usage_stats: z.boolean().nullish() })
    .nullish(),
  seed: z.int().nullish()
}
const chatSchema = z.looseObject({
  ...shared,
  max_completion_tokens: tokensField,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  messages: messagesSchema
})
const completionSchema = z.looseObject({
  ...shared,
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  prompt: z.union([
    z.string().min(1),
    z.array(z.string()).min(1),
    z.array(z.int()).min(1),
    z.array(z.array(z.int())).min(1)
  ])
})
type ChatBody = z.output<typeof chatSchema>
type CompletionBody = z.output<typeof completionSchema>

const fromIds = (ids: readonly number[]): Prompt => ({ text: '', tokens: ids.map((id) => `<|${id}|>`) })
const fromText = (text: string): Prompt => ({ text, tokens: tokenize(text) })

function readCompletionPrompts({ prompt }: CompletionBody): Prompt[] {
  if (typeof prompt === 'string') return [fromText(prompt)]
  if (prompt.every((part) => typeof part === 'number')) return [fromIds(prompt)]
  return prompt.map((part) => (typeof part === 'string' ? fromText(part) : fromIds(part as number[])))
}

function readShared(body: ChatBody | CompletionBody) {
  if (body.stream_options && !body.stream) {
    throw new Refusal(400, 'Stream options can only be defined when `stream=True`.', 'stream_options')
  }
  const includeUsage = body.stream_options?.include_usage ?? false
  return {
    n: body.n ?? 1,
    minTokens: body.min_tokens ?? 0,
    stop: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []),
    includeStop: body.include_stop_str_in_output ?? false,
    ignoreEos: body.ignore_eos ?? false,
    stream: body.stream ?? false,
    includeUsage,
    continuousUsage: includeUsage && (body.stream_options?.continuous_usage_stats ?? false),
    seed: body.seed ?? undefined
  }
}

/** The output cap; without one, vLLM leaves the whole rest of the context. */
function checkLength(prompts: readonly Prompt[], asked: number | undefined, maxModelLen: number): number {
  const longest = Math.max(...prompts.map(({ tokens }) => tokens.length))
  const output = asked ?? maxModelLen - longest
  if (longest + Math.max(1, output) <= maxModelLen) return output
  throw new Refusal(
    400,
    `This model's maximum context length is ${maxModelLen} tokens. However, you requested ${Math.max(0, output)} output ` +
      `tokens and your prompt contains at least ${longest} input tokens, for a total of at least ` +
      `${longest + Math.max(1, output)} tokens. Please reduce the length of the input prompt or the number of requested ` +
      'output tokens.',
    'input_tokens'
  )
}

function checkMinTokens(minTokens: number, maxTokens: number): void {
  if (minTokens <= maxTokens) return
  throw new Refusal(400, `min_tokens must be less than or equal to max_tokens=${maxTokens}, got ${minTokens}.`)
}

/** vLLM's default for a completion; a chat goes on to the end of the context. */
const COMPLETION_TOKENS = 16

/** @throws Refusal with vLLM's status and words */
export function readRequest(kind: RequestKind, bytes: Buffer, limits: RequestLimits): GenerationRequest {
  const json = parseJson(bytes)
  if (kind === 'response') return readChat(kind, fromResponse(validate(responseSchema, json)), limits)
  if (kind === 'message') return readChat(kind, fromMessage(validate(messageSchema, json)), limits)
  if (kind !== 'completion') return readChat(kind, json, limits)
  const body = validate(completionSchema, json)
  const asked = body.max_tokens ?? COMPLETION_TOKENS
  const [prompts, logprobs] = [readCompletionPrompts(body), body.logprobs ?? undefined]
  return finish({ kind, body, prompts, asked, logprobs, echo: body.echo ?? false }, limits)
}

function readChat(kind: RequestKind, json: unknown, limits: RequestLimits): GenerationRequest {
  const body = validate(chatSchema, json)
  if (body.top_logprobs && !body.logprobs) {
    throw new Refusal(400, 'when using `top_logprobs`, `logprobs` must be set to true.', 'top_logprobs')
  }
  const logprobs = body.logprobs ? (body.top_logprobs ?? 0) : undefined
  const asked = body.max_completion_tokens ?? body.max_tokens ?? undefined
  return finish({ kind, body, prompts: [readChatPrompt(body.messages)], asked, logprobs, echo: false }, limits)
}

/** What a transcription takes for a second of sound: 16 bits at 16 kHz. */
const BYTES_PER_SECOND = 32_000
/** Whisper's context. */
const MOST_TRANSCRIBED_TOKENS = 448

/** The request in a form: its file is a prompt of one token for each tenth of a second. */
export function readUploadRequest(kind: RequestKind, upload: Upload, limits: RequestLimits): GenerationRequest {
  const { fields, fileBytes } = upload
  if (fileBytes === undefined) throw new Refusal(422, 'file: Field required', 'file')
  const stream = fields.stream === 'true'
  const body = validate(chatSchema, {
    model: fields.model,
    stream,
    ...(stream && { stream_options: { include_usage: fields.stream_include_usage === 'true' } }),
    ignore_eos: fields.ignore_eos === 'true',
    messages: []
  })
  const asked = Math.min(MOST_TRANSCRIBED_TOKENS, Number(fields.max_completion_tokens ?? MOST_TRANSCRIBED_TOKENS))
  const tokens = Array<string>(Math.ceil((fileBytes * 10) / BYTES_PER_SECOND)).fill('<|audio|>')
  const prompts = [{ text: fields.prompt ?? '', tokens }]
  return finish({ kind, body, prompts, asked, logprobs: undefined, echo: false }, limits)
}

interface Draft extends Pick<GenerationRequest, 'kind' | 'prompts' | 'logprobs' | 'echo'> {
  readonly body: ChatBody | CompletionBody
  readonly asked: number | undefined
}

function finish({ body, asked, ...known }: Draft, limits: RequestLimits): GenerationRequest {
  const model = checkModel(body.model, limits.models)
  const common = readShared(body)
  const maxTokens = checkLength(known.prompts, asked, limits.maxModelLen)
  checkMinTokens(common.minTokens, maxTokens)
  return { ...known, ...common, model, maxTokens }
}
