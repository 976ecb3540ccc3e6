// Cross-origin requests: which pages of a browser may call the API, told only to requests that come from a page.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Headers } from './call.ts'
import { HEADERS } from './contract.ts'

const { requestId, maxTokens, stream } = HEADERS
const EXPOSED = [requestId, maxTokens, stream, 'location', 'retry-after', 'server-timing'].join(', ')
const METHODS = 'GET, HEAD, POST, DELETE'
/** How long a browser may keep the answer to its preflight, in seconds. */
const MAX_AGE_SECONDS = 600

/** The cross-origin headers of one answer, by the request's `Origin`. */
export type CorsHeaders = (origin: string | undefined) => Headers

/**
 * A request without `Origin` comes from no page and gets none: most requests of an API are such, and a library that tells
 * every one of them costs each a few microseconds.
 * @param origins which origins are allowed; `*` stands for every one
 */
export function createCorsHeaders(origins: readonly string[]): CorsHeaders {
  const any = origins.includes('*')
  // a cache must not give a page the answer that was meant for another one
  const nobody: Headers = any ? {} : { vary: 'Origin' }
  return (origin) => {
    if (origin === undefined || (!any && !origins.includes(origin))) return nobody
    return {
      ...nobody,
      'access-control-allow-origin': any ? '*' : origin,
      'access-control-expose-headers': EXPOSED
    }
  }
}

/**
 * Answers a preflight (https://fetch.spec.whatwg.org/#http-cors-protocol) of a page that was allowed by `allowed`; true: the
 * request was one.
 */
export function answerPreflight(request: FastifyRequest, reply: FastifyReply, allowed: Headers): boolean {
  if (allowed['access-control-allow-origin'] === undefined) return false
  if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
  const asked = request.headers['access-control-request-headers']
  if (asked !== undefined) reply.header('access-control-allow-headers', asked)
  reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', MAX_AGE_SECONDS)
  reply.code(204).send()
  return true
}
