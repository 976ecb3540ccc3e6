// What is forwarded to an engine, by path: the allowlist, and what each route has of its own.

/** What a model is for; each opens a set of routes. `/tokenize` and `/detokenize` are open for every model. */
export const TASKS = ['generate', 'embed', 'score', 'transcribe'] as const
export type Task = (typeof TASKS)[number]

/**
 * Whose shapes a route has, of its answers, its events and its errors: OpenAI's chunks up to `[DONE]`, OpenAI's Responses,
 * or Anthropic's Messages.
 */
export type Api = 'chunks' | 'responses' | 'messages'

/** One route to an engine. */
export interface EngineRoute {
  /** OpenTelemetry's `gen_ai.operation.name`, or a name in its style where it has none. */
  readonly operation: string
  /** What a model must be for; undefined: any. */
  readonly task: Task | undefined
  readonly api: Api
  /** How the request is sent: JSON, or a form with a file. */
  readonly body: 'json' | 'form'
  /** Whether `stream: true` means anything here. */
  readonly streams: boolean
  /** The fields that limit the output; undefined where nothing is generated. */
  readonly cap: OutputCapFields | undefined
  /** How many answers one request asks for: one, the best one of `n` beams, `n` of them, or `n` for each prompt. */
  readonly choices: 'one' | 'best-of-n' | 'n' | 'n-a-prompt'
  /** The engine's path, where it has another one. */
  readonly enginePath?: string
}

/** Where a request says how many tokens it wants. */
export interface OutputCapFields {
  /** The field that an engine certainly reads; it is set where a request has none. */
  readonly name: string
  /** Another name of it. */
  readonly alias?: string
  /** An engine reads the alias in place of the name, so that one of them is enough. */
  readonly aliasSuffices?: boolean
  /** A request without it is refused, as its API has it. */
  readonly isRequired?: boolean
}

const generates = { task: 'generate', api: 'chunks', body: 'json', streams: true } as const
const computes = { api: 'chunks', body: 'json', streams: false, cap: undefined, choices: 'one' } as const
const rerank = { ...computes, operation: 'rerank', task: 'score' } as const
const score = { ...computes, operation: 'score', task: 'score' } as const
const tokenize = { ...computes, operation: 'tokenize', task: undefined } as const
const detokenize = { ...computes, operation: 'detokenize', task: undefined } as const
const hears = {
  task: 'transcribe',
  api: 'chunks',
  body: 'form',
  streams: true,
  cap: { name: 'max_completion_tokens' },
  // `n` counts the beams of a beam search (vLLM's TranscriptionRequest)
  choices: 'best-of-n'
} as const

/**
 * Every route, as vLLM has it (`@router` in vllm/entrypoints). Two of vLLM's stand outside `/v1`, where an ingress leads
 * nobody; they have a second path here.
 */
export const ENGINE_ROUTES = {
  '/v1/chat/completions': {
    ...generates,
    operation: 'chat',
    cap: { name: 'max_tokens', alias: 'max_completion_tokens', aliasSuffices: true },
    choices: 'n'
  },
  '/v1/completions': {
    ...generates,
    operation: 'text_completion',
    cap: { name: 'max_tokens', alias: 'max_completion_tokens' },
    choices: 'n-a-prompt'
  },
  '/v1/responses': {
    ...generates,
    operation: 'chat',
    api: 'responses',
    cap: { name: 'max_output_tokens' },
    choices: 'one'
  },
  '/v1/messages': {
    ...generates,
    operation: 'chat',
    api: 'messages',
    cap: { name: 'max_tokens', isRequired: true },
    choices: 'one'
  },
  '/v1/messages/count_tokens': { ...tokenize, task: 'generate', api: 'messages' },
  '/v1/embeddings': { ...computes, operation: 'embeddings', task: 'embed' },
  '/v1/rerank': rerank,
  '/v2/rerank': rerank,
  '/rerank': rerank,
  '/v1/score': score,
  '/score': score,
  '/v1/tokenize': { ...tokenize, enginePath: '/tokenize' },
  '/tokenize': tokenize,
  '/v1/detokenize': { ...detokenize, enginePath: '/detokenize' },
  '/detokenize': detokenize,
  '/v1/audio/transcriptions': { ...hears, operation: 'transcription' },
  '/v1/audio/translations': { ...hears, operation: 'translation' }
} as const satisfies Record<string, EngineRoute>

/** A path that leads to an engine. */
export type EnginePath = keyof typeof ENGINE_ROUTES

export const ENGINE_PATHS = Object.keys(ENGINE_ROUTES) as readonly EnginePath[]

/** Where tokens are asked for in JSON, and may be streamed: what is asked for all day. */
export const TOKEN_PATHS = ENGINE_PATHS.filter(
  (path) => ENGINE_ROUTES[path].body === 'json' && ENGINE_ROUTES[path].streams
)

/** The route at a path; undefined where none leads to an engine. */
export function findRoute(path: string): EngineRoute | undefined {
  return Object.hasOwn(ENGINE_ROUTES, path) ? ENGINE_ROUTES[path as EnginePath] : undefined
}
