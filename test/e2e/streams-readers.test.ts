// Who reads a stream: several at once, which get the same, and nobody without its URL or its key.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStreamUrls } from '../../gateway/admission/stream-urls.ts'
import { jsonOf, LONG } from '../helpers/client.ts'
import { KEY, ROOMY, SMALL_KEY, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { beginStream, owner, remove, SHORT, visit } from '../helpers/streams.ts'

let gateway: TestGateway
const engine = () => gateway.engines[0] as TestGateway['engines'][number]
beforeAll(async () => {
  gateway = await startGateway({ engines: [ROOMY], config: { streams: { retryMs: 100 } } })
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** A character of base64url that is not the last one of `text`. */
const otherDigit = (text: string) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')

describe('several readers', () => {
  it('get the same, whenever they come, from one generation', async () => {
    const requests = engine().stats.requests
    const { id, url } = await beginStream(gateway.address, { body: { ...LONG, max_tokens: 400 } })
    const early = [visit(gateway.address, url), visit(gateway.address, url)]
    await visit(gateway.address, url, { cutAt: 5_000 })
    const late = [visit(gateway.address, url), visit(gateway.address, `/v1/streams/${id}`, { headers: owner })]
    const all = await Promise.all([...early, ...late])
    for (const { events } of all) expect(events).toEqual(all[0]?.events)
    expect(all[0]?.events.length).toBeGreaterThan(400)
    expect(engine().stats.requests).toBe(requests + 1)
  })

  it('that stop reading hold up neither the engine nor the others, and miss nothing', async () => {
    const { url } = await beginStream(gateway.address, { body: { ...LONG, max_tokens: 300 } })
    const held = await fetch(gateway.address + url)
    const { events } = await visit(gateway.address, url)
    expect(events.at(-1)).toContain('[DONE]')
    expect(await held.text()).toBe(`retry: 100\n\n${events.join('')}`)
  })

  it('are at most as many as is configured', async () => {
    await using narrow = await startGateway({ engines: [ROOMY], config: { streams: { maxViewers: 2 } } })
    const { url } = await beginStream(narrow.address, { body: LONG })
    const [first, second] = [new AbortController(), new AbortController()]
    await fetch(narrow.address + url, { signal: first.signal })
    await fetch(narrow.address + url, { signal: second.signal })
    const third = await fetch(narrow.address + url)
    expect([third.status, (await jsonOf(third)).error.code]).toEqual([429, 'too_many_viewers'])
    first.abort()
    await until('one has left', async () => (await narrow.metric('sluice_stream_viewers')) === 1)
    expect((await fetch(narrow.address + url, { signal: second.signal })).status).toBe(200)
    second.abort()
  })
})

describe('a stream is closed to others', () => {
  it.each<[title: string, change: (url: string, id: string) => string]>([
    ['without a signature', (_url, id) => `/v1/streams/${id}`],
    ['with another signature', (url) => url.replace(/signature=./, otherDigit)],
    ['with a later end', (url) => url.replace(/expires=\d/, 'expires=9')],
    ['with a cut signature', (url) => url.slice(0, -8)],
    [
      'with the signature of another stream',
      (url, id) =>
        url.replace(
          id,
          id.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
        )
    ],
    ['with a second signature', (url) => `${url}&signature=AAAA`]
  ])('%s', async (_title, change) => {
    const { id, url } = await beginStream(gateway.address, { body: SHORT })
    const changed = gateway.address + change(url, id)
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(changed, { method })
      expect([response.status, (await jsonOf(response)).error.code]).toEqual([403, 'invalid_stream_url'])
    }
  })

  it('once its URL has expired, but for its key', async () => {
    const signingKey = randomBytes(32)
    await using ours = await startGateway({ engines: [ROOMY], streams: { signingKey, redisUrl: undefined } })
    const { id } = await beginStream(ours.address, { body: SHORT })
    // signed as the gateway's own are, by a clock that is two minutes slow
    const urlOf = (urlMs: number) => createStreamUrls(signingKey, urlMs, () => Date.now() - 120_000).create(id).url
    expect((await visit(ours.address, urlOf(300_000))).status).toBe(200)
    expect((await visit(ours.address, urlOf(60_000))).status).toBe(403)
    expect((await visit(ours.address, `/v1/streams/${id}`, { headers: owner })).status).toBe(200)
  })

  it('when they have another key, or none that is known', async () => {
    const { id, url } = await beginStream(gateway.address, { body: SHORT })
    const status = async (key: string, path: string) =>
      (await visit(gateway.address, path, { headers: { authorization: `Bearer ${key}` } })).status
    expect(await status(SMALL_KEY, `/v1/streams/${id}`)).toBe(404)
    expect(await status(SMALL_KEY, url)).toBe(404)
    expect(await status('sk-wrong', `/v1/streams/${id}`)).toBe(401)
    expect((await remove(gateway.address, `/v1/streams/${id}`, { authorization: `Bearer ${SMALL_KEY}` })).status).toBe(
      404
    )
    expect(await status(KEY, `/v1/streams/${id}`)).toBe(200)
  })

  it('and its signature stands in no line of the log', async () => {
    const { id, url } = await beginStream(gateway.address, { body: SHORT })
    await visit(gateway.address, url)
    await until('it is told of', () => gateway.log.some((line) => line.message === 'view' && line.streamId === id))
    expect(JSON.stringify(gateway.log)).not.toContain('signature')
  })

  it('but a page of an allowed origin may watch and cancel it', async () => {
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const origin = 'https://app.example.com'
    const watched = await fetch(gateway.address + url, { headers: { origin } })
    expect(watched.headers.get('access-control-allow-origin')).toBe('*')
    await watched.text()
    const headers = { origin, 'access-control-request-method': 'DELETE' }
    const preflight = await fetch(gateway.address + url, { method: 'OPTIONS', headers })
    expect(preflight.headers.get('access-control-allow-methods')).toContain('DELETE')
  })
})
