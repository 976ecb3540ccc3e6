// The OpenAI routes: from a request to a frozen Call, handed to the exchange; and the list of models.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Catalog } from '../admission/catalog.ts'
import type { Call, Headers, Outcome, Principal, Sink } from '../call.ts'
import { ENGINE_PATHS, type EnginePath, HEADERS, PATHS } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { HttpSink } from '../stream/sinks.ts'
import { type JsonObject, parseJsonObject, setFields } from './json-body.ts'
import { capOutput } from './output-cap.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once the key has been checked. */
    principal: Principal | null
  }
}

export interface OpenAiDeps {
  readonly catalog: Catalog
  readonly exchange: (call: Call, sink: Sink) => Promise<Outcome>
  /** Throws where the header carries no key that is known. */
  readonly authenticate: (authorization: string | undefined) => Principal
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** When the models were made available, in seconds since 1970: OpenAI's `created`. */
  readonly createdSeconds: number
  readonly stalledMs: number
}

/** Fields that decide about limits. They go upstream once, as they were read here, however often and however they were spelt. */
const DECISIVE = [
  'model',
  'stream',
  'n',
  'best_of',
  'max_tokens',
  'max_completion_tokens',
  'prompt',
  'prompt_embeds'
] as const
const READ: ReadonlySet<string> = new Set(DECISIVE)

function pickGiven(body: JsonObject): JsonObject {
  return Object.fromEntries(DECISIVE.filter((name) => body[name] !== undefined).map((name) => [name, body[name]]))
}

/** Client headers that go upstream: trace context, so that an engine's spans join the client's. */
const FORWARDED = ['traceparent', 'tracestate'] as const

/** Registers `/v1/*`. Every route in here wants a key. */
export function registerOpenAiRoutes(app: FastifyInstance, deps: OpenAiDeps): void {
  app.decorateRequest('principal', null)
  app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request) => {
      request.principal = deps.authenticate(request.headers.authorization)
    })
    guarded.get(PATHS.models, async (request) => ({
      object: 'list',
      data: deps.catalog.list(principalOf(request)).map(({ model }) => toModel(model.name, deps.createdSeconds))
    }))
    guarded.get<{ Params: { '*': string } }>(`${PATHS.models}/*`, async (request) => {
      const name = request.params['*']
      if (deps.catalog.find(principalOf(request), name) === undefined)
        throw new GatewayError('model_not_found', { param: 'model' })
      return toModel(name, deps.createdSeconds)
    })
    for (const path of Object.keys(ENGINE_PATHS) as EnginePath[]) {
      guarded.post(path, (request, reply) => answer(path, request, reply, deps))
    }
  })
}

const toModel = (id: string, created: number) => ({ id, object: 'model', created, owned_by: 'sluice' })

function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new GatewayError('missing_api_key')
  return request.principal
}

async function answer(path: EnginePath, request: FastifyRequest, reply: FastifyReply, deps: OpenAiDeps): Promise<void> {
  const call = toCall(path, request, deps)
  const headers = { ...(reply.getHeaders() as Headers), [HEADERS.maxTokens]: String(call.maxTokens) }
  reply.hijack()
  await deps.exchange(call, new HttpSink(reply.raw, { headers, stalledMs: deps.stalledMs }))
}

/** Reads and checks what Sluice must know of a body; the rest is for the engine to judge. */
function toCall(path: EnginePath, request: FastifyRequest, deps: OpenAiDeps): Call {
  const principal = principalOf(request)
  const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const body = parseJsonObject(bytes, READ)
  const name = readModel(body)
  const model = deps.catalog.find(principal, name)?.model
  if (model === undefined) throw new GatewayError('model_not_found', { param: 'model' })
  const stream = readStream(body)
  const allowed = Math.min(model.maxOutputTokens, principal.maxOutputTokens ?? Number.POSITIVE_INFINITY)
  const { maxTokens, choices, fields } = capOutput(path, body, allowed)
  return Object.freeze({
    id: request.id,
    path,
    operation: ENGINE_PATHS[path],
    model: name,
    stream,
    body: setFields(bytes, { ...pickGiven(body), model: name, stream, ...fields }),
    headers: pickForwarded(request),
    principal,
    maxTokens,
    choices,
    acceptedAtMs: deps.now()
  })
}

function readModel(body: JsonObject): string {
  const model = body.model
  if (typeof model === 'string' && model !== '') return model
  throw new GatewayError('invalid_request', { message: 'model must be a string: the name of a model.', param: 'model' })
}

function readStream(body: JsonObject): boolean {
  const stream = body.stream ?? false
  if (typeof stream === 'boolean') return stream
  throw new GatewayError('invalid_request', { message: 'stream must be true or false.', param: 'stream' })
}

function pickForwarded(request: FastifyRequest): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of FORWARDED) {
    const value = request.headers[name]
    if (typeof value === 'string') picked[name] = value
  }
  return picked
}
