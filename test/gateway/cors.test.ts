// What a page of a browser may do, by its origin: preflights, answers, refusals.
import { describe, expect, it } from 'vitest'
import { createServer } from '../../gateway/server.ts'

const PAGE = 'https://app.example.com'

async function ask(corsOrigins: string[], method: 'OPTIONS' | 'GET', headers: Record<string, string>, url = '/there') {
  const refused: string[] = []
  const { http } = createServer(
    { maxBodyBytes: 1024, corsOrigins, keepAliveMs: 1_000 },
    {
      newId: () => 'id',
      upgrades: () => false,
      keepsConnections: () => true,
      onRefused: (_request, { code }) => refused.push(code)
    }
  )
  http.get('/there', async () => 'here')
  const { statusCode, headers: answered } = await http.inject({ method, url, headers })
  await http.close()
  const pick = (name: string) => answered[`access-control-${name}`]
  return { status: statusCode, origin: pick('allow-origin'), vary: answered.vary, pick, refused }
}

const preflight = (origin: string) => ({ origin, 'access-control-request-method': 'POST' })

describe('a preflight', () => {
  it('of any page is answered where every origin is allowed, before anything else is asked', async () => {
    const { status, origin, pick, refused } = await ask(['*'], 'OPTIONS', {
      ...preflight(PAGE),
      'access-control-request-headers': 'authorization,x-y'
    })
    expect([status, origin, pick('allow-headers'), pick('allow-methods'), pick('max-age'), refused]).toEqual([
      204,
      '*',
      'authorization,x-y',
      'GET, HEAD, POST, DELETE',
      '600',
      []
    ])
  })

  it.each([
    [PAGE, 204, PAGE],
    ['https://app.example.com.evil.example', 404, undefined],
    ['https://app.example.co', 404, undefined],
    ['http://app.example.com', 404, undefined],
    ['null', 404, undefined]
  ])('of %s is answered %i where one origin is allowed', async (from, status, allowed) => {
    const answer = await ask(['https://other.example', PAGE], 'OPTIONS', preflight(from))
    expect([answer.status, answer.origin, answer.vary]).toEqual([status, allowed, 'Origin'])
  })

  it('for a route that is not there is answered like any other', async () => {
    expect((await ask(['*'], 'OPTIONS', preflight(PAGE), '/nowhere')).status).toBe(204)
  })
})

describe('an answer', () => {
  it('to a page may be read, its own headers, too', async () => {
    const { status, origin, pick } = await ask(['*'], 'GET', { origin: PAGE })
    expect([status, origin, pick('expose-headers')]).toEqual([200, '*', expect.stringContaining('x-request-id')])
  })

  it('to whoever is no page has no such header', async () => {
    const { status, origin, vary } = await ask(['*'], 'GET', {})
    expect([status, origin, vary]).toEqual([200, undefined, undefined])
  })

  it('that depends on the origin says so to caches, whoever asks', async () => {
    expect((await ask([PAGE], 'GET', {})).vary).toBe('Origin')
  })

  it('that is a refusal may be read as well', async () => {
    const { status, origin, refused } = await ask([PAGE], 'GET', { origin: PAGE }, '/nowhere')
    expect([status, origin, refused]).toEqual([404, PAGE, ['unknown_url']])
  })
})
