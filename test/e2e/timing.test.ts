// What a client learns about time: the head's Server-Timing, a stream's last comment, trace context, beats in the queue.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, eventsOf, jsonOf, type OpenRequest, openChat, textOf } from '../helpers/client.ts'
import { FINISH, ROLE, TEXT } from '../helpers/fakes.ts'
import { startBy, type TestGateway, type TestOptions, until, WAYS } from '../helpers/gateway.ts'
import { type ScriptedRequest, startScriptedEngine, streamResponse } from '../helpers/scripted-engine.ts'
import { newRequestId, recordOf, stream } from '../helpers/told.ts'

const BEAT = ': heartbeat\n\n'
const TIMED = { headers: { 'x-sluice-timing': '1' } }
const COMMENT = /: sluice ttft_ms=(\d+\.\d) tokens=(\d+) tokens_per_second=(\d+\.\d)\n\n/

describe.each(WAYS)('by way of %s,', (way) => {
  const startGateway = startBy(way)
  let gateway: TestGateway
  const EXACT = { max_tokens: 20, ignore_eos: true }

  beforeAll(async () => {
    gateway = await startGateway({ engines: [{ pace: { prefillOverheadMs: 30, interTokenMs: 10, jitter: 0 } }] })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  const timingOf = (response: Response) => {
    const [, queue, connect] =
      /^queue;dur=(\d+\.\d), connect;dur=(\d+\.\d)$/.exec(response.headers.get('server-timing') ?? '') ?? []
    return { queueMs: Number(queue), connectMs: Number(connect) }
  }

  describe('the head says how long the request waited', () => {
    it.each([true, false])('where stream is %j', async (isStream) => {
      const startedAt = performance.now()
      const response = await chat(gateway.address, { body: { ...EXACT, stream: isStream } })
      const tookMs = performance.now() - startedAt
      const { queueMs, connectMs } = timingOf(response)
      expect(queueMs).toBeGreaterThanOrEqual(0)
      expect(connectMs).toBeGreaterThanOrEqual(0)
      expect(queueMs + connectMs).toBeLessThan(tookMs)
      await response.text()
    })

    it('in the queue, too', async () => {
      await using narrow = await startGateway({ pool: { maxActivePerEngine: 1 } })
      const first = openChat(narrow.address, { body: { max_tokens: 20_000, ignore_eos: true, stream: true } })
      await first.head
      const second = chat(narrow.address, { body: { ...EXACT, stream: true } })
      await until('one waits', async () => (await narrow.metric('sluice_queued_requests')) === 1)
      await new Promise((go) => setTimeout(go, 200))
      first.leave()
      const response = await second
      expect(timingOf(response).queueMs).toBeGreaterThan(190)
      await response.text()
    })
  })

  describe('the last comment of a stream', () => {
    it('stands right before [DONE] and says what the record says', async () => {
      const startedAt = performance.now()
      const { text, record } = await stream(gateway, EXACT, TIMED)
      const tookMs = performance.now() - startedAt
      expect(text.split(': sluice')).toHaveLength(2)
      expect(text).toMatch(new RegExp(`${COMMENT.source}data: \\[DONE\\]\\n\\n$`))
      const [, ttftMs, tokens, perSecond] = (COMMENT.exec(text) ?? []).map(Number)
      expect(tokens).toBe(20)
      expect(ttftMs).toBeCloseTo(record.ttftMs as number, 1)
      expect(ttftMs).toBeGreaterThan(25)
      expect(ttftMs).toBeLessThan(tookMs)
      // 10 ms a token make 100 tokens a second; a busy machine makes fewer
      expect(perSecond).toBeGreaterThan((19 / tookMs) * 1000 * 0.9)
      expect(perSecond).toBeLessThan(115)
    })

    it('has the tokens of all choices', async () => {
      const startedAt = performance.now()
      const { text } = await stream(gateway, { ...EXACT, n: 3 }, TIMED)
      const tookMs = performance.now() - startedAt
      const [, , tokens, perSecond] = (COMMENT.exec(text) ?? []).map(Number)
      expect(tokens).toBe(60)
      expect(perSecond).toBeGreaterThan(3 * (19 / tookMs) * 1000 * 0.9)
      expect(perSecond).toBeLessThan(345)
    })

    it('comes with the usage that the client asked for, after it', async () => {
      const { text } = await stream(gateway, { ...EXACT, stream_options: { include_usage: true } }, TIMED)
      expect(text.indexOf('"choices":[]')).toBeGreaterThan(0)
      expect(text.indexOf('"choices":[]')).toBeLessThan(text.indexOf(': sluice'))
    })

    it('stands before the [DONE] that the engine forgot', async () => {
      await using engine = await startScriptedEngine(({ socket }) => {
        socket.write(streamResponse([ROLE(), TEXT('a'), FINISH('stop')].join('')))
      })
      await using raw = await startGateway({ engines: [], urls: [engine.url] })
      const { text } = await stream(raw, {}, TIMED)
      expect(text).toMatch(new RegExp(`${COMMENT.source}data: \\[DONE\\]\\n\\n$`))
    })

    it.each([{}, { 'x-sluice-timing': '0' }, { 'x-sluice-timing': 'true' }])(
      'does not come with the headers %j',
      async (headers) => {
        const { text } = await stream(gateway, EXACT, { headers: headers as Record<string, string> })
        expect(text).not.toContain(': sluice')
      }
    )

    it('does not come in a stream that breaks, nor in JSON', async () => {
      const whole = await chat(gateway.address, { body: EXACT, ...TIMED })
      expect((await jsonOf(whole)).usage.completion_tokens).toBe(20)
      gateway.engines[0]?.setFaults([{ kind: 'truncate', afterTokens: 3 }])
      const { text, record } = await stream(gateway, EXACT, TIMED)
      gateway.engines[0]?.setFaults([])
      expect(record.code).toBe('upstream_error')
      expect(text).not.toContain(': sluice')
    })
  })

  it.each([true, false])('trace context reaches the engine, and no other header (stream: %j)', async (isStream) => {
    const trace = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'
    }
    const others = {
      cookie: 'a=b',
      baggage: 'user=7',
      'user-agent': 'test',
      'x-forwarded-for': '10.0.0.1',
      'x-api-key': 'secret',
      'x-sluice-timing': '1',
      'proxy-authorization': 'Basic x',
      te: 'trailers',
      'openai-organization': 'org'
    }
    const open = openChat(gateway.address, {
      body: { ...EXACT, stream: isStream },
      headers: { ...trace, ...others, 'x-request-id': `trace-${isStream}` }
    })
    for await (const _ of await open.head);
    const { headers } = gateway.engines[0]?.stats.recent.at(-1) ?? {}
    expect(headers).toMatchObject(trace)
    const ours = ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'x-request-id']
    expect(Object.keys(headers ?? {}).sort()).toEqual([...ours, ...Object.keys(trace)].sort())
    expect(headers?.authorization).toBe('Bearer engine-key')
  })

  describe('a stream that waits in the queue', () => {
    /** A gateway whose only place is taken, and who took it. */
    async function startFull(options: TestOptions = {}): Promise<{ full: TestGateway; holder: OpenRequest }> {
      const full = await startGateway({
        ...options,
        config: { budget: { heartbeatMs: 50, ...options.config?.budget } },
        pool: { maxActivePerEngine: 1, ...options.pool }
      })
      const holder = openChat(full.address, { body: { max_tokens: 20_000, ignore_eos: true, stream: true } })
      await holder.head
      return { full, holder }
    }

    /** Reads until `marks` beats have come. */
    async function beats(open: OpenRequest, marks: number) {
      const response = await open.head
      response.on('error', () => {})
      let text = ''
      response.on('data', (bytes) => (text += bytes))
      await until('it beats', () => text.split(BEAT).length > marks)
      return { response, text: () => text }
    }

    it('hears beats, and then its answer on the same stream', async () => {
      const { full, holder } = await startFull()
      await using _ = full
      const { response, text } = await beats(openChat(full.address, { body: { ...EXACT, stream: true } }), 3)
      expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'text/event-stream'])
      expect(eventsOf(text())).toEqual([])
      holder.leave()
      await new Promise((resolve) => response.once('end', resolve))
      expect(text()).toMatch(/^(: heartbeat\n\n){3,}data: /)
      expect(eventsOf(text())).toHaveLength(1 + 20 + 1)
      expect(eventsOf(text()).at(-1)).toBe('[DONE]')
      expect(textOf(text())).not.toBe('')
    })

    it('and leaves gives its place up', async () => {
      const { full, holder } = await startFull()
      await using _ = full
      for (let i = 0; i < 3; i++) {
        const waiting = openChat(full.address, { body: { ...EXACT, stream: true } })
        await beats(waiting, 2)
        waiting.leave()
      }
      await until('none waits', async () => (await full.metric('sluice_queued_requests')) === 0)
      expect(full.engines[0]?.stats.requests).toBe(1)
      holder.leave()
      await until('no slot is held', async () => (await full.metric('sluice_active_requests')) === 0)
      expect((await stream(full, EXACT)).events.at(-1)).toBe('[DONE]')
      expect(await full.metric('sluice_engine_in_flight_requests')).toBe(0)
    })

    it('too long gets a status before the first beat', async () => {
      const { full, holder } = await startFull({ config: { budget: { heartbeatMs: 10_000 } }, pool: { queueMs: 100 } })
      await using _ = full
      const response = await chat(full.address, { body: { ...EXACT, stream: true } })
      expect([response.status, response.headers.get('content-type')]).toEqual([503, 'application/json'])
      expect((await jsonOf(response)).error.code).toBe('queue_timeout')
      holder.leave()
    })

    it('too long gets an error event after a beat, and [DONE]', async () => {
      const { full, holder } = await startFull({ pool: { queueMs: 400 } })
      await using _ = full
      const { text, events, response, record } = await stream(full, EXACT)
      expect([response.status, text.startsWith(BEAT), events.length]).toEqual([200, true, 2])
      expect(JSON.parse(events[0] ?? '').error).toMatchObject({ code: 'queue_timeout', type: 'server_error' })
      expect(events[1]).toBe('[DONE]')
      expect(record).toMatchObject({ outcome: 'error', code: 'queue_timeout' })
      holder.leave()
    })
  })

  describe('after a beat, an engine that answers late', () => {
    const REFUSAL = JSON.stringify({ error: { message: 'temperature must be small.', type: 'BadRequestError' } })
    const refusal = (status: string) =>
      `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${REFUSAL.length}\r\n\r\n${REFUSAL}`

    /** Of two engines, the one asked first says the first answer once two beats have come, the other the second after two more. */
    async function askLate(...answers: (string | Buffer)[]) {
      let text = ''
      const beats = () => text.split(BEAT).length - 1
      const script = async ({ socket }: ScriptedRequest) => {
        const [answer, had] = [answers.shift() ?? '', beats()]
        await until('two beats have come', () => beats() >= had + 2)
        socket.write(answer)
      }
      await using one = await startScriptedEngine(script)
      await using two = await startScriptedEngine(script)
      const config = { budget: { heartbeatMs: 50 } }
      // whom all engines refuse is told so at once
      const pool = { maxQueued: 0 }
      await using late = await startGateway({ engines: [], urls: [one.url, two.url], config, pool })
      const requestId = newRequestId()
      const headers = { 'x-request-id': requestId }
      const response = await openChat(late.address, { body: { stream: true }, headers }).head
      for await (const piece of response) text += piece
      const record = await recordOf(late, requestId)
      return { status: response.statusCode, text, events: eventsOf(text), record }
    }

    it('with a refusal tells the client so in an event', async () => {
      const { status, text, events } = await askLate(refusal('400 Bad Request'))
      expect([status, text.startsWith(BEAT), events.at(-1)]).toEqual([200, true, '[DONE]'])
      expect(JSON.parse(events[0] ?? '').error).toMatchObject({
        code: 'engine_refused',
        message: 'temperature must be small.'
      })
    })

    it('with a failure lets another engine answer on the same stream', async () => {
      const good = [ROLE(), TEXT('a'), FINISH('stop'), 'data: [DONE]\n\n'].join('')
      const { text, record } = await askLate(refusal('503 Service Unavailable'), streamResponse(good))
      expect(text.replaceAll(BEAT, '')).toBe(good)
      expect(text.split(BEAT).length - 1).toBeGreaterThanOrEqual(4)
      expect(record).toMatchObject({ outcome: 'complete', attempts: 2 })
    })

    it('with a failure that no other engine mends tells the client so in an event', async () => {
      const { events, record } = await askLate(refusal('502 Bad Gateway'), refusal('503 Service Unavailable'))
      expect(JSON.parse(events[0] ?? '').error.code).toBe('engine_overloaded')
      expect(events.slice(1)).toEqual(['[DONE]'])
      expect(record).toMatchObject({ outcome: 'error', attempts: 2 })
    })
  })
})
