// Streams of their own: how one begins, how it ends, and how much there may be of them.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chat, jsonOf, LONG, textOf } from '../helpers/client.ts'
import { KEY, MODEL, ROOMY, SMALL_KEY, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import {
  beginStream,
  idOf,
  listen,
  owner,
  postStream,
  readInPieces,
  remove,
  runningStreams,
  SHORT,
  visit,
  withoutId
} from '../helpers/streams.ts'

let gateway: TestGateway
const engine = () => gateway.engines[0] as TestGateway['engines'][number]
beforeAll(async () => {
  gateway = await startGateway({ engines: [ROOMY], config: { streams: { retryMs: 100 } } })
})
afterAll(() => gateway[Symbol.asyncDispose]())
beforeEach(() => engine().setFaults([]))

describe('a stream that is begun', () => {
  it('gets an id nobody can guess, a signed URL that expires, and never the same twice', async () => {
    const beforeMs = Date.now()
    const response = await postStream(gateway.address, { body: SHORT })
    const afterMs = Date.now()
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const { id, object, model, url, expires_at } = await jsonOf(response)
    expect([object, model]).toEqual(['stream', MODEL])
    expect(response.headers.get('location')).toBe(url)
    expect(id).toMatch(/^stream_[\w-]{43}$/)
    expect(url).toMatch(new RegExp(`^/v1/streams/${id}\\?expires=${expires_at}&signature=[\\w-]{43}$`))
    expect(expires_at).toBeGreaterThanOrEqual(Math.floor(beforeMs / 1000) + 900)
    expect(expires_at).toBeLessThanOrEqual(Math.ceil(afterMs / 1000) + 900)
    const other = await beginStream(gateway.address, { body: SHORT })
    expect(other.id).not.toBe(id)
    await Promise.all([visit(gateway.address, url), visit(gateway.address, other.url)])
  })

  it('is an EventSource without any header: numbered, complete, and over when it is over', async () => {
    const requests = engine().stats.requests
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const { data, ids, closedBy } = await listen(gateway.address + url)
    expect(ids).toEqual(data.map((_, index) => String(index + 1)))
    expect(data.at(-1)).toBe('[DONE]')
    expect(data.filter((one) => one.includes('"content"')).length).toBeGreaterThanOrEqual(SHORT.max_tokens)
    expect(closedBy).toBe(204)
    expect(engine().stats.requests).toBe(requests + 1)
  })

  it('says the same as the answer to a plain request', async () => {
    const body = { ...SHORT, seed: 11 }
    const plain = textOf(await (await chat(gateway.address, { body: { ...body, stream: true } })).text())
    const { url } = await beginStream(gateway.address, { body })
    expect(textOf((await visit(gateway.address, url)).events.map(withoutId).join(''))).toBe(plain)
  })

  it.each([
    ['/v1/responses', { input: 'Tell me of rivers.', max_output_tokens: 60 }, 'response.incomplete'],
    ['/v1/messages', { messages: [{ role: 'user', content: 'Rivers?' }], max_tokens: 60 }, 'message_stop'],
    ['/v1/completions', { prompt: 'Rivers', max_tokens: 60 }, '[DONE]']
  ])('may be one of %s, in its own words, in pieces too', async (endpoint, request, last) => {
    const { url } = await beginStream(gateway.address, { endpoint, request: { model: MODEL, ...request } })
    const pieces = await readInPieces(
      () => gateway.address,
      url,
      () => 3_000
    )
    const whole = await visit(gateway.address, url)
    expect(pieces.events).toEqual(whole.events)
    expect(pieces.events.at(-1)).toContain(last)
    expect(pieces.events.map(idOf)).toEqual(pieces.events.map((_, index) => String(index + 1)))
  })

  it('ends in the words of its API when it is cancelled', async () => {
    const request = { model: MODEL, input: 'Tell me of rivers.', max_output_tokens: 50_000 }
    const { url } = await beginStream(gateway.address, { endpoint: '/v1/responses', request })
    const reader = visit(gateway.address, url)
    await visit(gateway.address, url, { cutAt: 3_000 })
    await remove(gateway.address, url)
    const { events } = await reader
    expect(events.at(-1)).toMatch(/^event: error\ndata: .*"code":"stream_cancelled".*\nid: \d+\n\n$/)
    expect(events.join('')).not.toContain('[DONE]')
    await until('nothing runs', async () => (await runningStreams(gateway)) === 0)
  })

  it('takes a key as Anthropic’s clients send it', async () => {
    const body = JSON.stringify({ endpoint: '/v1/chat/completions', body: { model: MODEL, messages: [], ...SHORT } })
    const headers = { 'x-api-key': KEY, 'content-type': 'application/json' }
    const response = await fetch(`${gateway.address}/v1/streams`, { method: 'POST', headers, body })
    expect(response.status).toBe(201)
    const { id } = await jsonOf(response)
    expect((await visit(gateway.address, `/v1/streams/${id}`, { headers: { 'x-api-key': KEY } })).status).toBe(200)
  })

  it('is capped as any request, and its limit is told', async () => {
    const response = await postStream(gateway.address, { key: SMALL_KEY, body: LONG })
    expect(response.headers.get('x-sluice-max-tokens')).toBe('10')
  })

  it.each<[title: string, body: unknown, param: string]>([
    ['no endpoint', { body: {} }, 'endpoint'],
    ['an endpoint that streams nothing', { endpoint: '/v1/models', body: {} }, 'endpoint'],
    ['an inherited name for an endpoint', { endpoint: 'constructor', body: {} }, 'endpoint'],
    ['no body', { endpoint: '/v1/chat/completions' }, 'body'],
    ['a body that is no object', { endpoint: '/v1/chat/completions', body: 'x' }, 'body'],
    [
      'a body that forbids to stream',
      { endpoint: '/v1/chat/completions', body: { model: 'f3-7b-instruct', stream: false } },
      'stream'
    ]
  ])('is refused with %s', async (_title, body, param) => {
    const headers = { ...owner, 'content-type': 'application/json' }
    const response = await fetch(`${gateway.address}/v1/streams`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body)
    })
    expect(response.status).toBe(400)
    expect((await jsonOf(response)).error).toMatchObject({ code: 'invalid_request', param })
  })

  it('needs a key', async () => {
    expect((await fetch(`${gateway.address}/v1/streams`, { method: 'POST', body: '{}' })).status).toBe(401)
  })

  it('has the status of its refusal when no engine takes it, and leaves nothing behind', async () => {
    await using narrow = await startGateway({ engines: [ROOMY], pool: { maxActivePerEngine: 1, maxQueued: 0 } })
    await beginStream(narrow.address, { body: LONG })
    const response = await postStream(narrow.address, { body: SHORT })
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '2'])
    expect((await jsonOf(response)).error.code).toBe('queue_full')
    expect(await narrow.metric('sluice_streams', { state: 'finished' })).toBe(0)
  })

  it('ends with an error event when its engine fails', async () => {
    engine().setFaults([{ kind: 'reset', afterTokens: 5 }])
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const { events } = await visit(gateway.address, url)
    expect(events.at(-2)).toContain('"code":"upstream_error"')
    expect(events.at(-1)).toMatch(/^data: \[DONE\]\nid: \d+\n\n$/)
  })
})

describe('the end of an answer', () => {
  it('comes for all readers when it is cancelled, and frees the engine', async () => {
    const aborted = engine().stats.aborted
    const { url } = await beginStream(gateway.address, { body: LONG })
    const reader = visit(gateway.address, url)
    await visit(gateway.address, url, { cutAt: 3_000 })
    expect((await remove(gateway.address, url)).status).toBe(204)
    const { events } = await reader
    expect(events.at(-2)).toContain('"code":"stream_cancelled"')
    await until('the engine is free', () => engine().stats.aborted === aborted + 1 && engine().stats.running === 0)
    expect((await visit(gateway.address, url, { after: idOf(events.at(-1)) })).status).toBe(204)
    expect((await remove(gateway.address, url)).status).toBe(204)
    expect((await visit(gateway.address, url)).status).toBe(404)
  })

  it('comes when nobody has watched for the grace time, and not while readers come and go', async () => {
    await using quick = await startGateway({ engines: [ROOMY], config: { streams: { replayGraceMs: 3_000 } } })
    const stats = () => (quick.engines[0] as TestGateway['engines'][number]).stats
    const { url } = await beginStream(quick.address, { body: LONG })
    let last: string | undefined
    for (const end = performance.now() + 6_500; performance.now() < end; ) {
      last = idOf((await visit(quick.address, url, { after: last, cutAt: 20_000 })).events.at(-1)) ?? last
    }
    expect(stats()).toMatchObject({ requests: 1, aborted: 0, running: 1 })
    await until('the engine is free', () => stats().aborted === 1 && stats().running === 0)
    const { events } = await visit(quick.address, url, { after: last })
    expect(events.at(-2)).toContain('"code":"stream_unwatched"')
    expect(await quick.metric('sluice_streams_ended_total', { state: 'cancelled' })).toBe(1)
    expect(quick.log.find(({ message }) => message === 'stream')).toMatchObject({
      state: 'cancelled',
      keyId: 'unrestricted'
    })
  })

  it('is kept for the retention time', async () => {
    await using quick = await startGateway({ engines: [ROOMY], config: { streams: { retentionMs: 5_000 } } })
    const { url } = await beginStream(quick.address, { body: SHORT })
    const { events } = await visit(quick.address, url)
    expect((await visit(quick.address, url)).events).toEqual(events)
    await until('it is forgotten', async () => (await visit(quick.address, url)).status === 404)
    expect(await quick.metric('sluice_stream_journal_bytes')).toBe(0)
  })
})

describe('bounds', () => {
  it('a key has at most so many streams that run, and finished ones make room', async () => {
    const streams = { maxJournalsPerKey: 2 }
    await using narrow = await startGateway({ engines: [ROOMY], config: { streams } })
    const done = await beginStream(narrow.address, { body: SHORT })
    await visit(narrow.address, done.url)
    const [first] = [
      await beginStream(narrow.address, { body: LONG }),
      await beginStream(narrow.address, { body: LONG })
    ]
    expect((await visit(narrow.address, done.url)).status).toBe(404)
    const refused = await postStream(narrow.address, { body: SHORT })
    expect([refused.status, (await jsonOf(refused)).error.code]).toEqual([429, 'too_many_streams'])
    expect((await postStream(narrow.address, { key: SMALL_KEY, body: SHORT })).status).toBe(201)
    await remove(narrow.address, first.url)
    expect((await postStream(narrow.address, { body: SHORT })).status).toBe(201)
  })

  it('the gateway has at most so many', async () => {
    const streams = { maxJournals: 1, maxJournalsPerKey: 1 }
    await using narrow = await startGateway({ engines: [ROOMY], config: { streams } })
    await beginStream(narrow.address, { body: LONG })
    expect((await postStream(narrow.address, { key: SMALL_KEY, body: SHORT })).status).toBe(429)
  })

  it('a stream that outgrows its journal goes on for who reads it, and tells who comes back too late', async () => {
    await using small = await startGateway({ engines: [ROOMY], config: { streams: { maxEvents: 50 } } })
    const { url } = await beginStream(small.address, { body: SHORT })
    const { events } = await visit(small.address, url)
    expect(events.length).toBeGreaterThan(SHORT.max_tokens)
    const late = await visit(small.address, url, { after: '3' })
    expect(late.status).toBe(410)
    expect((await visit(small.address, url, { after: idOf(events.at(-11)) })).events).toEqual(events.slice(-10))
  })

  it('all journals together stay within their memory', async () => {
    const streams = { maxBytes: 65_536, maxTotalBytes: 100_000 }
    await using small = await startGateway({ engines: [ROOMY], config: { streams } })
    const urls = await Promise.all(
      Array.from({ length: 6 }, async () => (await beginStream(small.address, { body: SHORT })).url)
    )
    const visits = await Promise.all(urls.map((url) => visit(small.address, url)))
    for (const { events } of visits) expect(events.at(-1)).toContain('[DONE]')
    expect(await small.metric('sluice_stream_journal_bytes')).toBeLessThanOrEqual(100_000)
  })
})

describe('routes', () => {
  it('name the methods that they take', async () => {
    const allow = async (method: string, path: string) => {
      const { status, headers } = await fetch(gateway.address + path, { method })
      return [status, headers.get('allow')]
    }
    expect(await allow('GET', '/v1/streams')).toEqual([405, 'POST'])
    expect(await allow('PUT', '/v1/streams/stream_x')).toEqual([405, 'GET, DELETE'])
    expect(await allow('HEAD', '/v1/streams/stream_x')).toEqual([405, 'GET, DELETE'])
  })
})
