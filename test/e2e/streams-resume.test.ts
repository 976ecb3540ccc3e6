// Streams that are resumed: a reader that is cut comes back and gets every byte once, and a POST may ask for the same.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chat, eventsOf, jsonOf, LONG, openChat } from '../helpers/client.ts'
import { startCuttingProxy } from '../helpers/cutting-proxy.ts'
import { seeded } from '../helpers/fakes.ts'
import { ROOMY, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { beginStream, idOf, listen, readInPieces, runningStreams, SHORT, visit, withoutId } from '../helpers/streams.ts'

let gateway: TestGateway
const engine = () => gateway.engines[0] as TestGateway['engines'][number]
beforeAll(async () => {
  gateway = await startGateway({ engines: [ROOMY], config: { streams: { retryMs: 100 } } })
})
afterAll(() => gateway[Symbol.asyncDispose]())
beforeEach(() => engine().setFaults([]))

describe('a reader that is cut', () => {
  it('gets every byte once, wherever the cuts are', async () => {
    const random = seeded(7)
    for (let round = 0; round < 12; round++) {
      const requests = engine().stats.requests
      const { url } = await beginStream(gateway.address, { body: SHORT })
      const pieces = await readInPieces(
        () => gateway.address,
        url,
        () => 400 + Math.floor(random() * 6_000)
      )
      expect(pieces.visits).toBeGreaterThan(4)
      const whole = await visit(gateway.address, url)
      expect(pieces.events.join('')).toBe(whole.events.join(''))
      expect(engine().stats.requests).toBe(requests + 1)
    }
  })

  it('comes back by itself as an EventSource, over a path that breaks, and is told everything once', async () => {
    const random = seeded(3)
    await using path = await startCuttingProxy(gateway.address, () => 500 + Math.floor(random() * 8_000))
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const { data, ids, closedBy } = await listen(path.address + url)
    expect(path.cuts()).toBeGreaterThan(3)
    expect(closedBy).toBe(204)
    expect(ids).toEqual(ids.map((_, index) => String(index + 1)))
    const whole = await visit(gateway.address, url)
    expect(eventsOf(whole.events.map(withoutId).join(''))).toEqual(data)
  })

  it('may name the last event in the URL, and the header counts more', async () => {
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const whole = (await visit(gateway.address, url)).events
    expect((await visit(gateway.address, `${url}&last_event_id=7`)).events).toEqual(whole.slice(7))
    expect((await visit(gateway.address, `${url}&last_event_id=7`, { after: '9' })).events).toEqual(whole.slice(9))
    expect((await visit(gateway.address, url, { after: 'x' })).status).toBe(400)
  })

  it('has a head that no proxy buffers, and a retry that is configured', async () => {
    const { url } = await beginStream(gateway.address, { body: SHORT })
    const response = await fetch(gateway.address + url)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    expect(await response.text()).toMatch(/^retry: 100\n\ndata: /)
  })
})

describe('a POST that asks for it', () => {
  const resumable = (body: object, headers: object = {}) => ({
    body: { ...body, stream: true },
    headers: { 'x-sluice-resumable': '1', ...headers }
  })

  it('has numbered events, and is resumed after its connection was cut, by the same generation', async () => {
    const requests = engine().stats.requests
    const open = openChat(gateway.address, resumable({ ...SHORT, max_tokens: 300 }))
    const response = await open.head
    const url = String(response.headers['x-sluice-stream'])
    let text = ''
    response.on('error', () => undefined)
    await new Promise<void>((resolve) =>
      response.on('data', (bytes) => {
        text += bytes
        if (text.length > 10_000) resolve()
      })
    )
    open.leave()
    const had = text.slice(0, text.lastIndexOf('\n\n') + 2).split(/(?<=\n\n)/)
    const rest = await visit(gateway.address, url, { after: idOf(had.at(-1)) })
    const whole = await visit(gateway.address, url)
    expect(had.join('') + rest.events.join('')).toBe(whole.events.join(''))
    expect(engine().stats.requests).toBe(requests + 1)
  })

  it('is refused with a status, as without', async () => {
    engine().setFaults([{ kind: 'status', status: 400 }])
    const response = await chat(gateway.address, resumable(SHORT))
    expect(response.status).toBe(400)
    expect((await jsonOf(response)).error.code).toBe('engine_refused')
  })

  it('is refused and counted when there are too many streams', async () => {
    const streams = { maxJournals: 1, maxJournalsPerKey: 1 }
    await using narrow = await startGateway({ engines: [ROOMY], config: { streams } })
    await beginStream(narrow.address, { body: LONG })
    const response = await chat(narrow.address, resumable(SHORT))
    expect([response.status, (await jsonOf(response)).error.code]).toEqual([429, 'too_many_streams'])
    expect(await narrow.metric('sluice_refusals_total', { code: 'too_many_streams' })).toBe(1)
  })

  it('shows the figures of its stream where it asked for them', async () => {
    const text = await (await chat(gateway.address, resumable(SHORT, { 'x-sluice-timing': '1' }))).text()
    expect(text).toMatch(
      /\n\n: sluice ttft_ms=[\d.]+ tokens=120 tokens_per_second=[\d.]+\ndata: \[DONE\]\nid: \d+\n\n$/
    )
  })

  it('without the header, or without a stream, is what it always was', async () => {
    const plain = await chat(gateway.address, { body: { ...SHORT, stream: true } })
    expect(plain.headers.get('x-sluice-stream')).toBeNull()
    expect(await plain.text()).not.toMatch(/^id:/m)
    const whole = await chat(gateway.address, { body: SHORT, headers: { 'x-sluice-resumable': '1' } })
    expect((await jsonOf(whole)).object).toBe('chat.completion')
    await until('nothing runs', async () => (await runningStreams(gateway)) === 0)
  })
})
