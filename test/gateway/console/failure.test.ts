import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Failure, readFailure, remedyOf, toFailure } from '../../../gateway/console/failure.js'
import { GatewayError, toOpenAiError } from '../../../gateway/errors.ts'

describe('what the page says of a failure', () => {
  it('is the gateway’s own error, with its status, its request id and when to try again', async () => {
    const body = JSON.stringify(toOpenAiError(new GatewayError('queue_full')))
    const headers = { 'retry-after': '2', 'x-request-id': 'req_1' }
    const failure = await readFailure(new Response(body, { status: 429, headers }))
    expect(failure).toMatchObject({ code: 'queue_full', status: 429, requestId: 'req_1', retryAfterSeconds: 2 })
    expect(remedyOf(failure)).toMatch(/^Wait and send again.*The gateway asks for 2 s\.$/)
  })

  it('names a proxy that answers in the gateway’s place', async () => {
    const page = new Response('<h1>Bad Gateway</h1>', { status: 502, statusText: 'Bad Gateway' })
    const failure = await readFailure(page)
    expect(failure.code).toBe('not_the_gateway')
    expect(failure.message).toContain('502 Bad Gateway')
    expect(remedyOf(failure)).toContain('in front of the gateway')
  })

  it('is the same for every browser when nothing was reached', () => {
    expect(toFailure(new TypeError('Load failed')).code).toBe('unreachable')
    expect(toFailure(new TypeError('Failed to fetch')).code).toBe('unreachable')
  })

  /** Their messages say what to do, or the page, which has one answer a connection and no Responses API, never meets them. */
  const NEEDLESS = new Set([
    'invalid_request',
    'method_not_allowed',
    'unsupported_media_type',
    'slow_reader',
    'duplicate_id',
    'unknown_id',
    'previous_response_not_found',
    'invalid_stream_id',
    'websocket_stream_limit_reached',
    'websocket_connection_limit_reached'
  ])
  it.each(documentedCodes())('has a remedy for %s, unless it needs none', (code) => {
    const remedy = remedyOf(new Failure({ code, message: '' }))
    expect(remedy !== '').toBe(!NEEDLESS.has(code))
  })
})

/** The codes in the table of errors of the gateway's documentation. */
function documentedCodes(): string[] {
  const text = readFileSync('docs/configuration.md', 'utf8')
  const table = text.slice(text.indexOf('\n## Errors'), text.indexOf('\n## Metrics'))
  return [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) =>
    [...(cell ?? '').matchAll(/`(\w+)`/g)].map((m) => m[1] ?? '')
  )
}
