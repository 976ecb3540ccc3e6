// Resumable streams: one request begins an answer, others watch it, come back to it, cancel it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { StreamUrls } from '../admission/stream-urls.ts'
import type { Call, Headers, Principal, Sink } from '../call.ts'
import { HEADERS, PATHS } from '../contract.ts'
import { type EnginePath, TOKEN_PATHS } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import type { Journals, Stream } from '../stream/journals.ts'
import { HttpSink } from '../stream/sinks.ts'
import { readCredential } from './credential.ts'
import { readJsonBody } from './json-body.ts'
import { type ToCallOptions, toCall } from './to-call.ts'

/** The states and verbs of resumable streams. */
export interface StreamsDeps extends ToCallOptions {
  readonly journals: Pick<Journals, 'create' | 'find' | 'checkRoom' | 'watch' | 'cancel'>
  readonly urls: StreamUrls
  /** Answers the call into the sink; it takes care of its own failures. */
  readonly exchange: (call: Call, sink: Sink) => void
  /** Throws where the header carries no key that is known. */
  readonly authenticate: (authorization: string | undefined) => Principal
  /** False: a request is refused with `shutting_down`. */
  readonly takesWork: () => boolean
  /** A monotonic clock in ms. */
  readonly now: () => number
  readonly stalledMs: number
}

type One = { Params: { id: string }; Querystring: Record<string, unknown> }

/** Registers `/v1/streams` and what is below it. */
export function registerStreamRoutes(app: FastifyInstance, deps: StreamsDeps): void {
  const guard = (request: FastifyRequest) => {
    if (!deps.takesWork()) throw new GatewayError('shutting_down')
    request.principal = deps.authenticate(readCredential(request.headers))
  }
  app.post(PATHS.streams, { onRequest: async (request) => guard(request) }, (request, reply) =>
    begin(request, reply, deps)
  )
  app.get<One>(`${PATHS.streams}/:id`, { exposeHeadRoute: false }, async (request, reply) => {
    const after = readLastEventId(request)
    const stream = await findStream(request, deps)
    const { log } = stream
    // a browser connects again after the end of a stream, too, unless it is told that there is nothing more
    if (log.ended && after === log.last) return reply.code(204).send()
    if (log.ended && after > log.last) throw new GatewayError('stream_lost')
    if (!log.continues(after)) throw new GatewayError('stream_truncated')
    deps.journals.checkRoom(stream)
    const options = { headers: reply.getHeaders() as Headers, api: stream.api, stalledMs: deps.stalledMs }
    reply.hijack()
    deps.journals.watch(stream, new HttpSink(reply.raw, options), after)
  })
  app.delete<One>(`${PATHS.streams}/:id`, async (request, reply) => {
    await deps.journals.cancel(await findStream(request, deps))
    return reply.code(204).send()
  })
}

/** Begins an answer and says where it can be watched; what is refused at once gets its own status. */
async function begin(request: FastifyRequest, reply: FastifyReply, deps: StreamsDeps): Promise<FastifyReply> {
  const call = readStart(request, deps)
  const { journal, url, expiresAt } = await start(call, deps)
  // whether there is room at the engines is known when the exchange has run to its first wait
  await new Promise(setImmediate)
  if (journal.refusal !== undefined) {
    await deps.journals.cancel(journal)
    throw journal.refusal
  }
  reply.header('location', url).header('cache-control', 'no-store').header(HEADERS.maxTokens, call.maxTokens)
  return reply.code(201).send({ id: journal.id, object: 'stream', model: call.model, url, expires_at: expiresAt })
}

/**
 * Answers a request whose client asked that its stream can be resumed: the request's own response is the first of its
 * readers.
 *
 * @param headers what every head gets
 */
export async function answerResumably(
  call: Call,
  reply: FastifyReply,
  headers: Headers,
  deps: Omit<StreamsDeps, keyof ToCallOptions>
): Promise<void> {
  const { journal, url } = await start(call, deps)
  const options = { headers: { ...headers, [HEADERS.stream]: url }, api: call.api, stalledMs: deps.stalledMs }
  reply.hijack()
  deps.journals.watch(journal, new HttpSink(reply.raw, options), 0, journal)
}

async function start(call: Call, deps: Pick<StreamsDeps, 'journals' | 'urls' | 'exchange'>) {
  const journal = await deps.journals.create(call)
  deps.exchange(call, journal)
  return { journal, ...deps.urls.create(journal.id) }
}

/** `{ "endpoint": "/v1/chat/completions", "body": { … } }`, the body as that endpoint takes it. */
function readStart(request: FastifyRequest, deps: StreamsDeps): Call {
  const { id, headers } = request
  const outer = readJsonBody(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0))
  request.body = undefined
  const path = readEndpoint(outer.get('endpoint'))
  const body = outer.raw('body')
  if (body === undefined || body[0] !== OPEN_BRACE) refuse('body', `must be an object: the request as ${path} takes it`)
  if (request.principal === null) throw new GatewayError('missing_api_key')
  const received = { id, path, headers, body, principal: request.principal, acceptedAtMs: deps.now() }
  return toCall({ ...received, streams: true }, deps)
}

const OPEN_BRACE = 0x7b

function readEndpoint(endpoint: unknown): EnginePath {
  return TOKEN_PATHS.find((path) => path === endpoint) ?? refuse('endpoint', `must be one of ${TOKEN_PATHS.join(', ')}`)
}

function refuse(param: string, what: string): never {
  throw new GatewayError('invalid_request', { message: `${param} ${what}.`, param })
}

/** The stream that a request is about, if its key began it or its URL was signed for it. */
async function findStream(request: FastifyRequest<One>, deps: StreamsDeps): Promise<Stream> {
  const { id } = request.params
  const { expires, signature } = request.query
  const credential = readCredential(request.headers)
  const principal = credential === undefined ? undefined : deps.authenticate(credential)
  if (principal === undefined) deps.urls.check({ id, expires: asText(expires), signature: asText(signature) })
  const stream = await deps.journals.find(id)
  if (stream === undefined || (principal !== undefined && principal.keyId !== stream.keyId))
    throw new GatewayError('stream_not_found')
  return stream
}

const asText = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** The header is what a browser sends when it comes back, so it is newer than the query, which stays in its URL. */
function readLastEventId({ headers, query }: FastifyRequest<One>): number {
  const given = asText(headers['last-event-id']) || query.last_event_id
  if (given === undefined || given === '') return 0
  if (typeof given === 'string' && /^\d{1,15}$/.test(given)) return Number(given)
  throw new GatewayError('invalid_request', {
    message: 'The last event id must be the id of an event of this stream: a whole number.',
    param: 'last_event_id'
  })
}
