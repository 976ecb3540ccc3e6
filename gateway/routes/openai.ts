// The OpenAI routes: each request becomes a Call for the exchange; and the list of models.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Call, Headers, Principal, Sink } from '../call.ts'
import { ENGINE_PATHS, type EnginePath, HEADERS, PATHS } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { HttpSink } from '../stream/sinks.ts'
import { answerResumably, type StreamsDeps } from './streams.ts'
import { type ToCallOptions, toCall } from './to-call.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once the key has been checked. */
    principal: Principal | null
  }
}

export interface OpenAiDeps extends ToCallOptions {
  /** Answers the call into the sink; it takes care of its own failures. */
  readonly exchange: (call: Call, sink: Sink) => void
  /** False: a request is refused with `shutting_down`. */
  readonly takesWork: () => boolean
  /** Throws where the header carries no key that is known. */
  readonly authenticate: (authorization: string | undefined) => Principal
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** When the models were made available, in seconds since 1970: OpenAI's `created`. */
  readonly createdSeconds: number
  readonly stalledMs: number
  readonly journals: StreamsDeps['journals']
  readonly urls: StreamsDeps['urls']
}

/** Registers `/v1/*`. Every route in here wants a key. */
export function registerOpenAiRoutes(app: FastifyInstance, deps: OpenAiDeps): void {
  app.decorateRequest('principal', null)
  app.register(async (guarded) => {
    guarded.addHook('onRequest', (request, _reply, done) => {
      if (!deps.takesWork()) throw new GatewayError('shutting_down')
      request.principal = deps.authenticate(request.headers.authorization)
      done()
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

const NO_HEADERS = {}
const NO_RAW_HEADERS: string[] = []

/** Nobody reads the headers any more; with their names and values they are a kilobyte of each open stream. */
function letHeadersGo(message: IncomingMessage): void {
  message.headers = NO_HEADERS
  message.rawHeaders = NO_RAW_HEADERS
}

const toModel = (id: string, created: number) => ({ id, object: 'model', created, owned_by: 'sluice' })

function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new GatewayError('missing_api_key')
  return request.principal
}

/** Not async: a function that waits keeps all that it has ever held, the body among it, for as long as the answer takes. */
function answer(path: EnginePath, request: FastifyRequest, reply: FastifyReply, deps: OpenAiDeps): void {
  const isResumable = request.headers[HEADERS.resumable] === '1'
  const call = receive(path, request, deps)
  const ours = { ...(reply.getHeaders() as Headers), [HEADERS.maxTokens]: String(call.maxTokens) }
  reply.hijack()
  if (isResumable && call.stream) return void answerResumably(call, reply, ours, deps)
  deps.exchange(call, new HttpSink(reply.raw, { headers: ours, stalledMs: deps.stalledMs }))
}

/** The call of a request, which from then on holds nothing of its body: the call has the bytes that go upstream. */
function receive(path: EnginePath, request: FastifyRequest, deps: OpenAiDeps): Call {
  const { id, headers } = request
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  request.body = undefined
  const call = toCall({ id, path, headers, body, principal: principalOf(request), acceptedAtMs: deps.now() }, deps)
  letHeadersGo(request.raw)
  return call
}
