// Cross-origin requests: which pages of a browser may call the API, told only to requests that come from a page.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { HEADERS } from './contract.ts'

const { requestId, maxTokens, stream } = HEADERS
const EXPOSED = [requestId, maxTokens, stream, 'location', 'retry-after', 'server-timing'].join(', ')
const METHODS = 'GET, HEAD, POST, DELETE'
/** How long a browser may keep the answer to its preflight, in seconds. */
const MAX_AGE_SECONDS = 600

/**
 * Sets the headers that a browser wants (https://fetch.spec.whatwg.org/#http-cors-protocol); true: it was a preflight, and
 * has been answered. A request without `Origin` comes from no page and gets none: most requests of an API are such, and a
 * library that tells every one of them costs each a few microseconds.
 */
export type AnswerCors = (request: FastifyRequest, reply: FastifyReply) => boolean

/** @param origins which origins are allowed; `*` stands for every one */
export function createCors(origins: readonly string[]): AnswerCors {
  const any = origins.includes('*')
  return (request, reply) => {
    const { origin } = request.headers
    // a cache must not give a page the answer that was meant for another one
    if (!any) reply.header('vary', 'Origin')
    if (origin === undefined) return false
    if (!any && !origins.includes(origin)) return false
    reply.header('access-control-allow-origin', any ? '*' : origin)
    reply.header('access-control-expose-headers', EXPOSED)
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
    const asked = request.headers['access-control-request-headers']
    if (asked !== undefined) reply.header('access-control-allow-headers', asked)
    reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', MAX_AGE_SECONDS)
    reply.code(204).send()
    return true
  }
}
