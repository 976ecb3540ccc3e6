// The HTTP server: request ids, bodies, CORS, and the one place where an error before the head becomes a response.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { HEADERS, PATHS } from './contract.ts'
import { answerPreflight, createCorsHeaders } from './cors.ts'
import { ENGINE_PATHS, findRoute } from './engine-routes.ts'
import { ERROR_SHAPES } from './error-shapes.ts'
import { GatewayError, retryAfterSeconds, toOpenAiError } from './errors.ts'

export interface ServerOptions {
  readonly maxBodyBytes: number
  readonly corsOrigins: readonly string[]
  readonly keepAliveMs: number
}

export interface ServerDeps {
  /** A new request id. */
  readonly newId: () => string
  /** Whether a request that asks for another protocol gets it; every other one is answered as if it had not asked. */
  readonly upgrades: (request: IncomingMessage) => boolean
  /** False: the gateway is on its way out, and asks its clients to come back on another connection. */
  readonly keepsConnections: () => boolean
  /** Told of each request that was refused before it became a call. */
  readonly onRefused: (request: FastifyRequest, error: GatewayError) => void
}

/** A client's request id is kept when it is short and plain enough for headers and logs. */
const SANE_ID = /^[A-Za-z0-9._:-]{1,128}$/

/** How long a client may take to send a whole request, in ms: large prompts come over slow lines. */
const REQUEST_TIMEOUT_MS = 120_000

/** Which methods each path takes, for a 405 that says so. */
const METHODS = new Map<string, string>([
  ...Object.values(PATHS).map((path) => [path, 'GET, HEAD'] as const),
  ...ENGINE_PATHS.map((path) => [path, 'POST'] as const),
  [PATHS.streams, 'POST']
])

function methodsOf(path: string): string | undefined {
  if (path.startsWith(`${PATHS.models}/`)) return METHODS.get(PATHS.models)
  return METHODS.get(path) ?? (/^\/v1\/streams\/[^/]+$/.test(path) ? 'GET, DELETE' : undefined)
}

export interface Server {
  readonly http: FastifyInstance
  /** Requests whose response has not left yet, the last bytes for a slow reader included. */
  readonly openResponses: () => number
  /** Takes no connection any more, and closes each one that is there when it has nothing to answer. */
  readonly stopListening: () => void
}

export function createServer(options: ServerOptions, deps: ServerDeps): Server {
  const responses = countResponses()
  const server = fastify({
    bodyLimit: options.maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: options.keepAliveMs,
    return503OnClosing: false,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    // an h2c upgrade, which Java's client offers with each request, must not keep it from being answered
    http: { shouldUpgradeCallback: (request) => deps.upgrades(request) && responses.leave(request.socket) },
    genReqId: (request) => readRequestId(request.headers, deps.newId),
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors(error, request, reply) {
      responses.add(request.raw.socket, reply.raw)
      reply.header(HEADERS.requestId, request.id)
      sendError(request, reply, toGatewayError(error, options.maxBodyBytes))
    }
  })
  const corsHeaders = createCorsHeaders(options.corsOrigins)
  server.addHook('onRequest', (request, reply, done) => {
    responses.add(request.raw.socket, reply.raw)
    reply.header(HEADERS.requestId, request.id)
    if (!deps.keepsConnections()) reply.header('connection', 'close')
    const cors = corsHeaders(request.headers.origin)
    reply.headers(cors)
    if (!answerPreflight(request, reply, cors)) done()
  })
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    done(encoding === 'identity' ? null : new GatewayError('unsupported_media_type'), body)
  })
  installErrorHandlers(server, options.maxBodyBytes, deps.onRefused)
  const stopListening = () => {
    responses.closeBehind()
    // an HTTP server's own close() also destroys sockets whose response has ended and not left yet
    NetServer.prototype.close.call(server.server)
  }
  return { http: server, openResponses: responses.open, stopListening }
}

/** Counts the responses that have not left yet. */
function countResponses() {
  /** How many each socket has that has carried one; it enters once, for a set that each request enters and leaves grows old. */
  const bySocket = new Map<Socket, number>()
  let open = 0
  let closes = false
  const countOf = (socket: Socket) => bySocket.get(socket) ?? 0
  const forget = (socket: Socket) => countOf(socket) === 0 && bySocket.delete(socket)
  const count = (socket: Socket, more: 1 | -1) => {
    open += more
    bySocket.set(socket, countOf(socket) + more)
    if (socket.destroyed) forget(socket)
    // the next request would be refused; whoever sends it on another connection meets a gateway that stays
    else if (closes && countOf(socket) === 0) socket.destroySoon()
  }
  return {
    open: () => open,
    /** From now on a socket ends with the last of its responses. */
    closeBehind() {
      closes = true
      for (const [socket, here] of bySocket) if (here === 0) socket.destroySoon()
    },
    /** Lets a WebSocket have the socket; false where a response is open on it, for the two would mix. */
    leave: (socket: Socket) => forget(socket) || !bySocket.has(socket),
    add(socket: Socket, response: ServerResponse) {
      if (!bySocket.has(socket)) socket.once('close', () => forget(socket))
      count(socket, 1)
      response.on('close', () => count(socket, -1))
    }
  }
}

function installErrorHandlers(server: FastifyInstance, maxBodyBytes: number, onRefused: ServerDeps['onRefused']): void {
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toGatewayError(error, maxBodyBytes)
    onRefused(request, known)
    return sendError(request, reply, known)
  })
  server.setNotFoundHandler((request, reply) => {
    const allow = methodsOf(pathOf(request))
    if (allow !== undefined) reply.header('allow', allow)
    const error =
      allow === undefined
        ? new GatewayError('unknown_url')
        : new GatewayError('method_not_allowed', { message: `The route takes ${allow}, and not ${request.method}.` })
    onRefused(request, error)
    return sendError(request, reply, error)
  })
}

/** So many ids are made at once, because making one alone takes longer each time. */
const IDS = 32

/** Makes request ids. */
export function createRequestIds(newUuid: () => string): () => string {
  const ids: string[] = []
  return () => {
    if (ids.length === 0) for (let i = 0; i < IDS; i++) ids.push(`req_${newUuid()}`)
    return ids.pop() as string
  }
}

/** The client's request id where it is sane, or else a new one. */
export function readRequestId(headers: IncomingHttpHeaders, newId: () => string): string {
  const given = headers[HEADERS.requestId]
  return typeof given === 'string' && SANE_ID.test(given) ? given : newId()
}

/** What Fastify throws by itself, in our terms. */
function toGatewayError(error: FastifyError | GatewayError, maxBodyBytes: number): GatewayError {
  if (error instanceof GatewayError) return error
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new GatewayError('body_too_large', { message: `The request body is larger than ${maxBodyBytes} bytes.` })
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new GatewayError('unsupported_media_type')
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return new GatewayError('invalid_request', { status, message: error.message })
  return new GatewayError('internal_error', { cause: error })
}

const pathOf = ({ url }: FastifyRequest) => url.split('?')[0] ?? ''

function sendError(request: FastifyRequest, reply: FastifyReply, error: GatewayError): FastifyReply {
  const retryAfter = retryAfterSeconds(error)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (error.status === 401) reply.header('www-authenticate', 'Bearer')
  const { body } = ERROR_SHAPES[findRoute(pathOf(request))?.api ?? 'chunks']
  return reply.code(error.status).send(body(error, request.id))
}

/** What is no HTTP gets one plain answer on its socket, if that still listens. */
export function answerBrokenRequest(cause: NodeJS.ErrnoException, socket: Socket): void {
  if (cause.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const tooLarge = cause.code === 'HPE_HEADER_OVERFLOW'
  const late = cause.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const [status, reason] = tooLarge
    ? [431, 'Request Header Fields Too Large']
    : late
      ? [408, 'Request Timeout']
      : [400, 'Bad Request']
  const error = new GatewayError('invalid_request', { status, message: `The request is not readable HTTP: ${reason}.` })
  const body = JSON.stringify(toOpenAiError(error))
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}
