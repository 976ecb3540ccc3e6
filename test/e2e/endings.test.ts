import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { startBrokenEngine } from '../helpers/broken-engine.ts'
import { chat, eventsOf, jsonOf, textOf } from '../helpers/client.ts'
import { INSTANT, startBy, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { startScriptedEngine } from '../helpers/scripted-engine.ts'
import { newRequestId, recordOf } from '../helpers/told.ts'

describe.each(WAYS)('by way of %s,', (way) => {
  const startGateway = startBy(way)
  let gateway: TestGateway
  beforeEach(async () => {
    gateway = await startGateway({ engines: [{}, {}] })
  })
  afterEach(() => gateway[Symbol.asyncDispose]())

  const STREAM = { body: { stream: true, max_tokens: 10, ignore_eos: true } }
  const WHOLE = { body: { max_tokens: 10, ignore_eos: true } }

  /** Both engines misbehave in this way. */
  const both = (fault: Parameters<SimEngine['setFaults']>[0][number]) => {
    for (const engine of gateway.engines) engine.setFaults([fault])
  }

  /** Runs requests until one has met the faulty first engine and was sent to the other. */
  async function untilRetried(body: typeof STREAM | typeof WHOLE): Promise<Response> {
    // an engine that says it is full is left alone for half a second
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      const requestId = newRequestId()
      const response = await chat(gateway.address, { ...body, headers: { 'x-request-id': requestId } })
      const copy = response.clone()
      await response.text()
      if ((await recordOf(gateway, requestId)).attempts === 2) return copy
    }
    throw new Error('no request met the faulty engine')
  }

  describe('before the first byte, another engine is asked', () => {
    const faults: Parameters<SimEngine['setFaults']>[0] = [
      { kind: 'status', status: 502 },
      { kind: 'status', status: 503 },
      { kind: 'status', status: 504 },
      { kind: 'abort', afterTokens: 0 },
      { kind: 'reset', afterTokens: 0 }
    ]
    for (const fault of faults) {
      it(`after ${JSON.stringify(fault)}`, async () => {
        gateway.engines[0]?.setFaults([fault])
        for (const body of [STREAM, WHOLE]) {
          const response = await untilRetried(body)
          expect(response.status).toBe(200)
          const text = await response.text()
          if (body === STREAM) expect(eventsOf(text).filter((data) => data.includes('"role"'))).toHaveLength(1)
          else expect(JSON.parse(text).usage.completion_tokens).toBe(10)
        }
        await until(
          'both engines are free',
          async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0
        )
        expect(await gateway.metric('sluice_retries_total')).toBeGreaterThan(1)
        const attempts = (result: string) =>
          gateway.metric('sluice_engine_attempts_total', {
            endpoint: new URL(gateway.engines[0]?.url ?? '').host,
            result
          })
        const isFull = fault.kind === 'status' && fault.status === 503
        // an engine that ends an answer by itself, as when it leaves, is not to blame
        const isBlamed = !isFull && fault.kind !== 'abort'
        expect([(await attempts('full')) > 1, (await attempts('failed')) > 1]).toEqual([isFull, isBlamed])
      })
    }

    it('after a refused connection', async () => {
      await gateway.engines[0]?.close()
      const response = await chat(gateway.address, STREAM)
      expect(response.status).toBe(200)
      expect(eventsOf(await response.text()).at(-1)).toBe('[DONE]')
    })
  })

  describe('after the first byte, no other engine is asked', () => {
    for (const fault of [
      { kind: 'reset', afterTokens: 3 },
      { kind: 'truncate', afterTokens: 3 },
      { kind: 'error-frame', afterTokens: 3 },
      { kind: 'malformed', afterTokens: 3 },
      { kind: 'abort', afterTokens: 3 }
    ] as Parameters<SimEngine['setFaults']>[0]) {
      it(`but the reader is told, after ${JSON.stringify(fault)}`, async () => {
        both(fault)
        const requestId = newRequestId()
        const response = await chat(gateway.address, { ...STREAM, headers: { 'x-request-id': requestId } })
        expect(response.status).toBe(200)
        const events = eventsOf(await response.text())
        expect(events.at(-1)).toBe('[DONE]')
        const { error } = JSON.parse(events.at(-2) ?? '')
        expect(error).toEqual({
          message: 'The engine failed while it answered.',
          type: 'server_error',
          param: null,
          code: 'upstream_error'
        })
        expect(events.length).toBeGreaterThanOrEqual(4)
        const record = await recordOf(gateway, requestId)
        expect(record).toMatchObject({ outcome: 'error', code: 'upstream_error', attempts: 1 })
        await until(
          'both engines are free',
          async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0
        )
      })
    }
  })

  describe('when no engine can answer', () => {
    it('and nobody may wait, the client gets the last engine’s refusal as a proper status', async () => {
      const faults = [{ kind: 'status', status: 503 }] as const
      await using full = await startGateway({ engines: [{ faults }, { faults }], pool: { maxQueued: 0 } })
      const requestId = newRequestId()
      const response = await chat(full.address, { ...STREAM, headers: { 'x-request-id': requestId } })
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect((await jsonOf(response)).error.code).toBe('engine_overloaded')
      expect(await recordOf(full, requestId)).toMatchObject({ attempts: 2 })
    })

    it('an engine’s 500 keeps its words to itself', async () => {
      both({ kind: 'status', status: 500 })
      const response = await chat(gateway.address, WHOLE)
      expect(response.status).toBe(502)
      expect((await jsonOf(response)).error.message).toBe('The engine failed while it answered.')
    })

    it('the gateway is not ready, and says why', async () => {
      for (const engine of gateway.engines) engine.setHealthy(false)
      await until('it is unready', () => !gateway.app.readiness().ready)
      const response = await fetch(`${gateway.address}/readyz`)
      expect(response.status).toBe(503)
      expect((await jsonOf(response)).reasons).toEqual(['pool test has no healthy engine (2 models)'])
      expect((await chat(gateway.address, STREAM)).status).toBe(503)
    })
  })

  describe('an answer in one piece', () => {
    it('that is large comes whole', async () => {
      await using large = await startGateway({ engines: [{ maxModelLen: 200_000, kvBlocks: 20_000, pace: INSTANT }] })
      const response = await chat(large.address, { body: { max_tokens: 40_000, ignore_eos: true } })
      expect((await jsonOf(response)).usage.completion_tokens).toBe(40_000)
    })

    it('that breaks after its head is cut, so that nobody takes the half for the whole', async () => {
      await using broken = await startBrokenEngine()
      await using cut = await startGateway({ engines: [], urls: [broken.url] })
      const response = await chat(cut.address, WHOLE)
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
      await until('it is told', () => cut.log.some((line) => line.code === 'upstream_error'))
    })
  })

  describe('an answer in one piece without a length', () => {
    const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n'
    const JSON_ANSWER = '{"choices":[{"message":{"content":"Rivers"},"finish_reason":"stop"}]}'

    it.each([
      ['that ends with its connection is whole', JSON_ANSWER, 'end', 200],
      ['whose connection ends within it is not taken for whole', JSON_ANSWER.slice(0, 40), 'end', 502],
      ['whose connection is reset within it is not taken for whole', JSON_ANSWER.slice(0, 40), 'resetAndDestroy', 502]
    ] as const)('%s', async (_how, said, finish, status) => {
      await using engine = await startScriptedEngine(({ socket }) => {
        socket.write(HEAD + said, () => setTimeout(() => socket[finish](), 10))
      })
      await using other = await startGateway({ engines: [], urls: [engine.url] })
      const response = await chat(other.address, WHOLE)
      expect(response.status).toBe(status)
      if (status === 200) expect(await response.text()).toBe(JSON_ANSWER)
      else expect((await jsonOf(response)).error.code).toBe('upstream_error')
    })
  })

  describe('timers', () => {
    const slow = (budget: Record<string, number>, fault: Parameters<SimEngine['setFaults']>[0][number]) =>
      startGateway({ engines: [{ faults: [fault] }], config: { budget: { connectMs: 1_000, ...budget } } })

    it('end a stream whose first token does not come, as a status', async () => {
      await using late = await slow({ firstTokenMs: 1_000 }, { kind: 'stall', afterTokens: 0 })
      const response = await chat(late.address, STREAM)
      expect(response.status).toBe(504)
      expect((await jsonOf(response)).error.code).toBe('ttft_timeout')
      await until('the engine is free', () => late.engines[0]?.stats.running === 0)
    })

    it('end a stream that falls silent, as an event', async () => {
      await using silent = await slow({ idleMs: 200 }, { kind: 'stall', afterTokens: 2 })
      const events = eventsOf(await (await chat(silent.address, STREAM)).text())
      expect(JSON.parse(events.at(-2) ?? '').error.code).toBe('idle_timeout')
      await until('the engine is free', () => silent.engines[0]?.stats.running === 0)
    })

    it('send a heartbeat while nothing else comes, between events only', async () => {
      await using quiet = await slow({ heartbeatMs: 50, firstTokenMs: 3_500 }, { kind: 'stall', afterTokens: 0 })
      const text = await (await chat(quiet.address, STREAM)).text()
      expect(text.startsWith(': heartbeat\n\n')).toBe(true)
      expect(text.split(': heartbeat\n\n').length).toBeGreaterThan(3)
      expect(JSON.parse(eventsOf(text)[0] ?? '').error.code).toBe('ttft_timeout')
    })
  })

  describe('many streams at once', () => {
    it('complete with every token in order', async () => {
      const single = await chat(gateway.address, { body: { stream: true, max_tokens: 40, ignore_eos: true, seed: 11 } })
      const expected = textOf(await single.text())
      expect(expected.split(' ').length).toBeGreaterThan(15)
      const answers = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const response = await chat(gateway.address, {
            body: { stream: true, max_tokens: 40, ignore_eos: true, seed: 11 }
          })
          return textOf(await response.text())
        })
      )
      expect(new Set(answers)).toEqual(new Set([expected]))
    })
  })
})
