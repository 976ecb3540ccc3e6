// The routes of the API: each request becomes a Call for the exchange; and the list of models.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Call, Headers, Principal } from '../call.ts'
import { HEADERS, PATHS } from '../contract.ts'
import { ENGINE_PATHS, ENGINE_ROUTES, type EnginePath } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import { HttpSink } from '../stream/sinks.ts'
import { readCredential } from './credential.ts'
import { readForm } from './form.ts'
import { answerResumably, type StreamsDeps } from './streams.ts'
import { type Received, toCall, toFormCall } from './to-call.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once the key has been checked. */
    principal: Principal | null
  }
}

export interface OpenAiDeps extends StreamsDeps {
  /** When the models were made available, in seconds since 1970: OpenAI's `created`. */
  readonly createdSeconds: number
  /** The largest upload, and how much of it is held to find its model, in bytes. */
  readonly maxUploadBytes: number
  readonly maxBodyBytes: number
  /** Something random that parts a form. */
  readonly newBoundary: () => string
}

/** A form larger than this is passed on while it comes; a smaller one can be sent to another engine, too. */
const PASS_BYTES = 1_048_576

/** Registers the list of models and every route to an engine. All of them want a key. */
export function registerOpenAiRoutes(app: FastifyInstance, deps: OpenAiDeps): void {
  app.decorateRequest('principal', null)
  app.register(async (guarded) => {
    guarded.addHook('onRequest', (request, _reply, done) => {
      if (!deps.takesWork()) throw new GatewayError('shutting_down')
      request.principal = deps.authenticate(readCredential(request.headers))
      done()
    })
    guarded.get(PATHS.models, async (request) => ({
      object: 'list',
      data: deps.catalog.list(principalOf(request)).map(({ model }) => toModel(model.name, deps.createdSeconds))
    }))
    guarded.get<{ Params: { '*': string } }>(`${PATHS.models}/*`, async (request) => {
      const { model } = deps.catalog.get(principalOf(request), request.params['*'])
      return toModel(model.name, deps.createdSeconds)
    })
    for (const path of pathsOf('json')) guarded.post(path, (request, reply) => answer(path, request, reply, deps))
    guarded.register(async (forms) => {
      // whoever reads the form takes it from the request itself, part by part
      forms.addContentTypeParser('multipart/form-data', (_request, _payload, done) => done(null))
      for (const path of pathsOf('form')) forms.post(path, (request, reply) => answerForm(path, request, reply, deps))
    })
  })
}

const pathsOf = (body: 'json' | 'form') => ENGINE_PATHS.filter((path) => ENGINE_ROUTES[path].body === body)

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
function answer(
  path: EnginePath,
  request: FastifyRequest,
  reply: FastifyReply,
  deps: OpenAiDeps
): void | Promise<void> {
  return begin(receive(path, request, deps), request, reply, deps)
}

/** The call of a request, which from then on holds nothing of its body: the call has the bytes that go upstream. */
function receive(path: EnginePath, request: FastifyRequest, deps: OpenAiDeps): Call {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  request.body = undefined
  return toCall({ ...received(path, request, deps), body }, deps)
}

/** The call of a large form begins before it is whole: it waits for its turn, and then flows. */
async function answerForm(
  path: EnginePath,
  request: FastifyRequest,
  reply: FastifyReply,
  deps: OpenAiDeps
): Promise<void> {
  if (request.body !== undefined) {
    throw new GatewayError('unsupported_media_type', { message: 'Send a form: Content-Type: multipart/form-data.' })
  }
  const form = await readForm(request.raw, {
    boundary: deps.newBoundary(),
    maxBytes: deps.maxUploadBytes,
    maxHeldBytes: deps.maxBodyBytes,
    passBytes: Math.min(PASS_BYTES, deps.maxBodyBytes)
  })
  reply.raw.once('close', () => form.drop())
  // not before: like a body of JSON, what is held of a form is awaited first, and that is no wait for an engine
  const asked = received(path, request, deps)
  await begin(toFormCall(asked, form, deps), request, reply, deps)
}

function received(path: EnginePath, request: FastifyRequest, deps: OpenAiDeps): Received {
  const { id, headers } = request
  return { id, path, headers, principal: principalOf(request), acceptedAtMs: deps.now() }
}

function begin(call: Call, request: FastifyRequest, reply: FastifyReply, deps: OpenAiDeps): void | Promise<void> {
  // an upload that still flows is lost with its connection, and its answer with it
  const isResumable = call.stream && call.body.rest === undefined && request.headers[HEADERS.resumable] === '1'
  letHeadersGo(request.raw)
  const { api, maxTokens } = call
  const headers = { ...(reply.getHeaders() as Headers) }
  if (maxTokens !== undefined) headers[HEADERS.maxTokens] = String(maxTokens)
  if (isResumable) return answerResumably(call, reply, headers, deps)
  reply.hijack()
  deps.exchange(call, new HttpSink(reply.raw, { headers, api, stalledMs: deps.stalledMs }))
}
