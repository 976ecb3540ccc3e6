import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chat, chatBody, eventsOf, jsonOf, textOf } from '../helpers/client.ts'
import {
  KEY,
  MODEL,
  SECRET_KEY,
  SECRET_MODEL,
  SMALL_KEY,
  startGateway,
  type TestGateway,
  until
} from '../helpers/gateway.ts'
import { newRequestId, recordOf, stream } from '../helpers/told.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({ config: { maxBodyBytes: 4096 } })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const get = (path: string, headers: Record<string, string> = { authorization: `Bearer ${KEY}` }) =>
  fetch(gateway.address + path, { headers })
const errorOf = async (response: Response) => (await jsonOf(response)).error
const lastUpstream = () => gateway.engines[0]?.stats.recent.at(-1)

describe('a streamed answer', () => {
  it('carries the headers that keep proxies from buffering it', async () => {
    const response = await chat(gateway.address, { body: { stream: true, max_tokens: 3 } })
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-sluice-max-tokens': '3'
    })
    expect(response.headers.has('content-length')).toBe(false)
    expect(response.headers.has('content-encoding')).toBe(false)
    await response.text()
  })

  it('is the engine’s bytes from the role chunk to [DONE]', async () => {
    const response = await chat(gateway.address, { body: { stream: true, max_tokens: 5, ignore_eos: true } })
    const events = eventsOf(await response.text())
    expect(JSON.parse(events[0] ?? '').choices[0].delta).toEqual({ role: 'assistant', content: '' })
    expect(events.at(-1)).toBe('[DONE]')
    expect(JSON.parse(events.at(-2) ?? '').choices[0].finish_reason).toBe('length')
  })

  it('is not compressed for a client that would take it', async () => {
    const response = await chat(gateway.address, {
      body: { stream: true, max_tokens: 2 },
      headers: { 'accept-encoding': 'gzip, br' }
    })
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(textOf(await response.text()).length).toBeGreaterThan(0)
  })
})

describe('an answer in one piece', () => {
  it('has the engine’s usage and a length', async () => {
    const response = await chat(gateway.address, { body: { max_tokens: 4, ignore_eos: true } })
    expect(response.headers.get('content-length')).toMatch(/^\d+$/)
    const answer = await jsonOf(response)
    expect(answer.usage.completion_tokens).toBe(4)
    expect(answer.choices[0].message.content.length).toBeGreaterThan(0)
  })

  it('comes from /v1/completions too', async () => {
    const body = { model: MODEL, prompt: 'Once', max_tokens: 3, ignore_eos: true }
    const answer = await jsonOf(await chat(gateway.address, { path: '/v1/completions', body }))
    expect(answer.object).toBe('text_completion')
    expect(answer.usage.completion_tokens).toBe(3)
  })
})

describe('the output cap', () => {
  const upstreamBody = async (body: Record<string, unknown>, key = KEY) => {
    const response = await chat(gateway.address, { key, body })
    await response.text()
    return {
      header: response.headers.get('x-sluice-max-tokens'),
      body: lastUpstream()?.body as Record<string, unknown>
    }
  }

  it('clamps to the key’s cap and says so', async () => {
    const { header, body } = await upstreamBody({ max_tokens: 500 }, SMALL_KEY)
    expect(header).toBe('10')
    expect(body.max_tokens).toBe(10)
  })

  it('is set when the client sets none', async () => {
    expect((await upstreamBody({}, SMALL_KEY)).body.max_tokens).toBe(10)
  })

  it('is shared by n choices', async () => {
    const { header, body } = await upstreamBody({ n: 3, max_completion_tokens: 500 }, SMALL_KEY)
    expect(header).toBe('3')
    expect(body.max_completion_tokens).toBe(3)
  })

  it('leaves a smaller wish alone', async () => {
    expect((await upstreamBody({ max_tokens: 2 }, SMALL_KEY)).body.max_tokens).toBe(2)
  })
})

describe('keys and models', () => {
  it('wants a key', async () => {
    const response = await get('/v1/models', {})
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(await errorOf(response)).toMatchObject({ code: 'missing_api_key', param: null })
  })

  it('refuses a key that it does not know, without saying more', async () => {
    const response = await chat(gateway.address, { key: 'sk-wrong' })
    expect(response.status).toBe(401)
    expect(JSON.stringify(await jsonOf(response))).not.toContain('sk-wrong')
  })

  it('lists the models of a key only', async () => {
    const ids = async (key: string) => {
      const list = await jsonOf(await get('/v1/models', { authorization: `Bearer ${key}` }))
      return list.data.map(({ id }: { id: string }) => id)
    }
    expect(await ids(KEY)).toEqual([MODEL])
    expect(await ids(SECRET_KEY)).toEqual([MODEL, SECRET_MODEL])
  })

  it('answers a model that is not there and one that is secret alike', async () => {
    const bodies = []
    for (const model of ['nonsense', SECRET_MODEL]) {
      const response = await chat(gateway.address, { body: { model } })
      expect(response.status).toBe(404)
      bodies.push(await response.text())
    }
    expect(bodies[0]).toBe(bodies[1])
    expect(bodies[0]).not.toContain(SECRET_MODEL)
  })

  it('sends the engine’s key upstream and never the client’s', async () => {
    await (
      await chat(gateway.address, { body: { max_tokens: 1 }, headers: { cookie: 'a=b', 'x-api-key': 'mine' } })
    ).text()
    const headers = lastUpstream()?.headers ?? {}
    expect(headers.authorization).toBe('Bearer engine-key')
    expect(JSON.stringify(headers)).not.toMatch(/sk-test|a=b|mine/)
  })
})

describe('bad input', () => {
  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    fetch(`${gateway.address}/v1/chat/completions`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${KEY}`, ...headers }
    })

  it('names the position of a mistake in the JSON', async () => {
    const response = await post('{"model": "x", oops}')
    expect(response.status).toBe(400)
    const error = await errorOf(response)
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_json' })
    expect(error.message).toContain('position 15')
  })

  it('refuses a body over the limit with 413', async () => {
    const response = await post(JSON.stringify(chatBody({ padding: 'x'.repeat(5000) })))
    expect(response.status).toBe(413)
    expect((await errorOf(response)).message).toContain('4096')
  })

  it('refuses a body that is not declared JSON with 415', async () => {
    expect((await post('a=b', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
  })

  it('names the field that is wrong', async () => {
    const wrong = [{ model: 7 }, { stream: 'yes' }, { max_tokens: 0 }, { n: 0 }, { max_completion_tokens: 1.5 }]
    const params = []
    for (const body of wrong) params.push((await errorOf(await chat(gateway.address, { body }))).param)
    expect(params).toEqual(['model', 'stream', 'max_tokens', 'n', 'max_completion_tokens'])
  })

  it('passes an engine’s own 400 on with its words', async () => {
    const response = await chat(gateway.address, { body: { messages: 'no list' } })
    expect(response.status).toBe(400)
    expect((await errorOf(response)).code).toBe('engine_refused')
  })
})

describe('routes', () => {
  it('refuses every path of the engine that is not in the allowlist', async () => {
    for (const path of [
      '/version',
      '/load',
      '/pooling',
      '/v1/realtime',
      '/invocations',
      '/v1/../version',
      '/tokenizer_info',
      '/sleep'
    ]) {
      expect((await get(path)).status).toBe(404)
    }
  })

  it.each([
    ['GET', '/v1/chat/completions', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['DELETE', `/v1/models/${MODEL}`, 'GET, HEAD'],
    ['POST', '/v1/streams/some', 'GET, DELETE']
  ])('says of %s %s which methods it takes', async (method, path, allow) => {
    const response = await fetch(gateway.address + path, { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe(allow)
    expect((await errorOf(response)).message).toBe(`The route takes ${allow}, and not ${method}.`)
  })

  it('says where the routes are to who leaves /v1 out of the base URL', async () => {
    const { code, message } = await errorOf(await get('/chat/completions'))
    expect([code, message]).toEqual(['unknown_url', expect.stringContaining('/v1/chat/completions')])
  })

  it('answers HEAD and preflights as a browser needs them', async () => {
    const head = await fetch(`${gateway.address}/v1/models`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${KEY}` }
    })
    expect(head.status).toBe(200)
    const preflight = await fetch(`${gateway.address}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-lang'
      }
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('x-stainless-lang')
  })

  it('lets a page read a streamed answer and its headers', async () => {
    const response = await chat(gateway.address, {
      body: { stream: true, max_tokens: 1 },
      headers: { origin: 'https://app.example' }
    })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toContain('x-request-id')
    await response.text()
  })

  it('keeps a sane request id and replaces another', async () => {
    const id = async (given: string) => (await get('/healthz', { 'x-request-id': given })).headers.get('x-request-id')
    expect(await id('trace-7.a:b')).toBe('trace-7.a:b')
    expect(await id('x'.repeat(200))).toMatch(/^req_/)
    expect(await id('{"a":1}')).toMatch(/^req_/)
  })
})

describe('what an operator sees', () => {
  it('is one log line a request, without prompt, answer or key', async () => {
    const requestId = newRequestId()
    const text = textOf(
      await (
        await chat(gateway.address, {
          body: { stream: true, max_tokens: 8, ignore_eos: true },
          headers: { 'x-request-id': requestId }
        })
      ).text()
    )
    await recordOf(gateway, requestId)
    const lines = gateway.log.filter((line) => line.requestId === requestId)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ outcome: 'complete', model: MODEL, keyId: 'unrestricted', attempts: 1 })
    for (const secret of [KEY, 'rivers', text.trim()]) expect(JSON.stringify(lines)).not.toContain(secret)
  })

  it('counts requests, tokens and times by names that exporters of OpenTelemetry use', async () => {
    const before = await gateway.metric('sluice_output_tokens_total', { gen_ai_request_model: MODEL })
    await stream(gateway, { max_tokens: 6, ignore_eos: true })
    expect((await gateway.metric('sluice_output_tokens_total', { gen_ai_request_model: MODEL })) - before).toBe(6)
    for (const name of ['time_to_first_token', 'time_per_output_token', 'request_duration']) {
      expect(await gateway.metric(`gen_ai_server_${name}_seconds_count`)).toBeGreaterThan(0)
    }
  })

  it('is alive and ready, and still alive but not ready while its only engine is lost', async () => {
    const statuses = async () => [(await get('/healthz', {})).status, (await get('/readyz', {})).status]
    expect(await statuses()).toEqual([200, 200])
    gateway.engines[0]?.setHealthy(false)
    await until('the engine is lost', () => !gateway.app.readiness().ready)
    expect(await statuses()).toEqual([200, 503])
    gateway.engines[0]?.setHealthy(true)
    await until('the engine is back', () => gateway.app.readiness().ready)
    expect(await statuses()).toEqual([200, 200])
  })
})
