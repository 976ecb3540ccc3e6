// What an engine computes in one pass: embeddings, scores, ranks, tokens. Plausible, and the same for the same input.
import { hash } from 'node:crypto'
import { z } from 'zod'
import { createRandom } from './random.ts'
import type { RequestLimits } from './request.ts'
import { checkModel, messagesSchema, parseJson, readChatPrompt, validate } from './request-body.ts'
import { tokenize } from './tokens.ts'
import type { Vocabulary } from './vocabulary.ts'

export interface ComputeDeps {
  readonly limits: RequestLimits
  readonly vocabulary: Vocabulary
  /** In s. */
  readonly created: number
  readonly requestId: string
}

const DIMENSIONS = 64

const model = z.string().nullish()
const texts = z.union([z.string(), z.array(z.string())])
const listOf = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : value)
const countTokens = (all: readonly string[]) => all.reduce((sum, text) => sum + tokenize(text).length, 0)

const embeddingSchema = z.looseObject({
  model,
  input: z.union([texts, z.array(z.int()), z.array(z.array(z.int()))]),
  dimensions: z.int().min(1).max(4096).nullish(),
  encoding_format: z.enum(['float', 'base64']).default('float')
})

/** A unit vector that its text alone decides. */
function embed(text: string, dimensions: number): number[] {
  const random = createRandom('embedding', text)
  const vector = Array.from({ length: dimensions }, () => random() * 2 - 1)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

function embedAll(body: z.output<typeof embeddingSchema>, { created, requestId }: ComputeDeps, served: string) {
  const { input, dimensions, encoding_format } = body
  const isOne = typeof input === 'string' || typeof input[0] === 'number'
  const inputs = isOne ? [input] : (input as (string | number[])[])
  const data = inputs.map((one, index) => {
    const vector = embed(String(one), dimensions ?? DIMENSIONS)
    const embedding =
      encoding_format === 'float' ? vector : Buffer.from(Float32Array.from(vector).buffer).toString('base64')
    return { index, object: 'embedding', embedding }
  })
  const tokens = inputs.reduce((sum, one) => sum + (typeof one === 'string' ? tokenize(one).length : one.length), 0)
  const usage = { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null }
  return { id: `embd-${requestId}`, object: 'list', created, model: served, data, usage }
}

/** From 0 to 1: words in common count, and a little chance. */
function scorePair(left: string, right: string): number {
  const words = new Set(left.toLowerCase().match(/\w+/g) ?? [])
  const common = (right.toLowerCase().match(/\w+/g) ?? []).filter((word) => words.has(word)).length
  const chance = Number.parseInt(hash('sha256', `${left}\n${right}`).slice(0, 4), 16) / 0xffff
  return (common + chance) / (common + 2)
}

const scoreSchema = z.looseObject({ model, text_1: texts, text_2: texts })

function scoreAll({ text_1, text_2 }: z.output<typeof scoreSchema>, deps: ComputeDeps, served: string) {
  const [left, right] = [listOf(text_1), listOf(text_2)]
  const data = right.map((text, index) => ({
    index,
    object: 'score',
    score: scorePair(left[left.length === 1 ? 0 : index] ?? '', text)
  }))
  const tokens = countTokens([...left, ...right])
  const usage = { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null }
  return { id: `score-${deps.requestId}`, object: 'list', created: deps.created, model: served, data, usage }
}

const rerankSchema = z.looseObject({
  model,
  query: z.string(),
  documents: z.array(z.union([z.string(), z.looseObject({ text: z.string() })])),
  top_n: z.int().min(0).default(0)
})

function rerankAll({ query, documents, top_n }: z.output<typeof rerankSchema>, deps: ComputeDeps, served: string) {
  const all = documents.map((one) => (typeof one === 'string' ? one : one.text))
  const tokens = countTokens([query, ...all])
  const results = all
    .map((text, index) => ({ index, document: { text, multi_modal: null }, relevance_score: scorePair(query, text) }))
    .toSorted((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, top_n || all.length)
  return {
    id: `rerank-${deps.requestId}`,
    model: served,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    results
  }
}

const tokenizeSchema = z.looseObject({ model, prompt: z.string().optional(), messages: messagesSchema.optional() })
const detokenizeSchema = z.looseObject({ model, tokens: z.array(z.int().min(0)) })
const countSchema = z.looseObject({ model, messages: messagesSchema, system: z.any().optional() })

const tokensOf = (body: z.output<typeof tokenizeSchema>) =>
  body.messages === undefined ? tokenize(body.prompt ?? '') : readChatPrompt(body.messages).tokens

type Compute = (json: unknown, deps: ComputeDeps) => object

/** Reads a body by its schema, checks its model, and computes. */
const by =
  <T extends { model?: string | null | undefined }>(
    schema: z.ZodType<T>,
    compute: (body: T, deps: ComputeDeps, served: string) => object
  ): Compute =>
  (json, deps) => {
    const body = validate(schema, json)
    return compute(body, deps, checkModel(body.model, deps.limits.models))
  }

const rerank = by(rerankSchema, rerankAll)
const score = by(scoreSchema, scoreAll)

const ROUTES: Readonly<Record<string, Compute>> = {
  '/v1/embeddings': by(embeddingSchema, embedAll),
  '/v1/score': score,
  '/score': score,
  '/v1/rerank': rerank,
  '/v2/rerank': rerank,
  '/rerank': rerank,
  '/tokenize': by(tokenizeSchema, (body, { vocabulary, limits }) => {
    const tokens = tokensOf(body).map((token) => vocabulary.idOf(token))
    return { count: tokens.length, max_model_len: limits.maxModelLen, tokens, token_strs: null }
  }),
  '/detokenize': by(detokenizeSchema, ({ tokens }, { vocabulary }) => ({
    prompt: tokens.map((id) => vocabulary.tokenOf(id)).join('')
  })),
  '/v1/messages/count_tokens': by(countSchema, (body) => ({
    input_tokens: readChatPrompt(body.messages).tokens.length
  }))
}

export const isComputedPath = (path: string): boolean => Object.hasOwn(ROUTES, path)

/** @throws Refusal with vLLM's status and words */
export function compute(path: string, bytes: Buffer, deps: ComputeDeps): object {
  return ROUTES[path]?.(parseJson(bytes), deps) ?? {}
}
