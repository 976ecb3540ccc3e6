// The OpenAI routes: each request becomes a Call for the exchange; and the list of models.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Call, Headers, Outcome, Principal, Sink } from '../call.ts'
import { ENGINE_PATHS, type EnginePath, HEADERS, PATHS } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { HttpSink } from '../stream/sinks.ts'
import { type ToCallOptions, toCall } from './to-call.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once the key has been checked. */
    principal: Principal | null
  }
}

export interface OpenAiDeps extends ToCallOptions {
  readonly exchange: (call: Call, sink: Sink) => Promise<Outcome>
  /** False: a request is refused with `shutting_down`. */
  readonly takesWork: () => boolean
  /** Throws where the header carries no key that is known. */
  readonly authenticate: (authorization: string | undefined) => Principal
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** When the models were made available, in seconds since 1970: OpenAI's `created`. */
  readonly createdSeconds: number
  readonly stalledMs: number
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

const toModel = (id: string, created: number) => ({ id, object: 'model', created, owned_by: 'sluice' })

function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new GatewayError('missing_api_key')
  return request.principal
}

async function answer(path: EnginePath, request: FastifyRequest, reply: FastifyReply, deps: OpenAiDeps): Promise<void> {
  const { id, headers } = request
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const received = { id, path, headers, body, principal: principalOf(request), acceptedAtMs: deps.now() }
  const call = toCall(received, deps)
  // the call has the bytes that go upstream; a long prompt need not be held twice for as long as its answer takes
  request.body = undefined
  const ours = { ...(reply.getHeaders() as Headers), [HEADERS.maxTokens]: String(call.maxTokens) }
  reply.hijack()
  await deps.exchange(call, new HttpSink(reply.raw, { headers: ours, stalledMs: deps.stalledMs }))
}
