import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../gateway/sim/engine.ts'
import { type Fault, isStreamFault, parseFaults } from '../../../gateway/sim/faults.ts'
import { ask, askJson, askStream, chunksOf, eventsOf, jsonOf, open, readAll, start, textOf, until } from './ask.ts'

let engine: SimEngine
beforeEach(async () => {
  engine = await start()
})
afterEach(() => engine.close())

const ten = { max_tokens: 10, ignore_eos: true }

/** A stream under a fault that its header names. */
async function stream(fault: string) {
  const opened = open(engine, { body: { ...ten, stream: true }, headers: { 'x-sluice-sim-fault': fault } })
  const response = await opened.head
  return { status: response.statusCode, ...(await readAll(response)) }
}

/** How many tokens came. */
const tokensOf = (text: string) =>
  eventsOf(text).filter((data) => /"content":"[^"]+"/.test(data) && data.endsWith('}')).length

describe('a fault in a stream', () => {
  it('resets the connection after so many tokens', async () => {
    const { status, text, isClean } = await stream('reset:4')
    expect([status, tokensOf(text), isClean]).toEqual([200, 4, false])
    expect(engine.stats).toMatchObject({ running: 0, aborted: 0 })
  })

  it('resets it before the head', async () => {
    await expect(stream('reset:0')).rejects.toThrow('ECONNRESET')
  })

  it('ends the body without an end of the stream', async () => {
    const { text, isClean } = await stream('truncate:4')
    expect([tokensOf(text), isClean, text.includes('[DONE]')]).toEqual([4, true, false])
    expect(text).not.toMatch(/"finish_reason":"/)
  })

  it('ends the stream without a finish reason', async () => {
    const { text } = await stream('unfinished:0')
    expect(eventsOf(text)).toHaveLength(2)
    expect(chunksOf(text)[0].choices[0].delta.role).toBe('assistant')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  it('sends vLLM’s error event and then the end', async () => {
    const { status, text } = await stream('error-frame:4')
    expect(status).toBe(200)
    expect(tokensOf(text)).toBe(4)
    expect(text).toMatch(
      /data: \{"error": \{"message": "Internal server error", "type": "InternalServerError", "param": null, "code": 500\}\}\n\ndata: \[DONE\]\n\n$/
    )
  })

  it('sends an event that is no JSON, and goes on', async () => {
    const { text } = await stream('malformed:4')
    const broken = eventsOf(text).filter((data) => data !== '[DONE]' && !data.endsWith('}'))
    expect(broken).toHaveLength(1)
    expect(() => JSON.parse(broken[0] ?? '')).toThrow(SyntaxError)
    expect(tokensOf(text)).toBe(10)
  })

  it('aborts in the middle, or before the first token with the role and the finish alone', async () => {
    const middle = chunksOf((await stream('abort:4')).text)
    expect(middle).toHaveLength(6)
    expect(middle.at(-1).choices[0]).toMatchObject({ delta: { content: '' }, finish_reason: 'abort' })
    const { text } = await stream('abort')
    expect(chunksOf(text).map(({ choices }) => [choices[0].delta.role, choices[0].finish_reason])).toEqual([
      ['assistant', null],
      [undefined, 'abort']
    ])
    expect(eventsOf(text).at(-1)).toBe('[DONE]')
  })

  it('falls silent for a while', async () => {
    const from = performance.now()
    const { text } = await stream('stall:4:80')
    expect(performance.now() - from).toBeGreaterThan(80)
    expect(tokensOf(text)).toBe(10)
  })

  it('falls silent for good with the socket open, until the client leaves', async () => {
    const opened = open(engine, { body: { ...ten, stream: true }, headers: { 'x-sluice-sim-fault': 'stall:4' } })
    const response = await opened.head
    let text = ''
    response.on('data', (piece) => {
      text += piece
    })
    response.on('error', () => undefined)
    await until('four tokens', () => tokensOf(text) === 4)
    await new Promise((go) => setTimeout(go, 40))
    expect([tokensOf(text), engine.stats.running]).toEqual([4, 1])
    opened.leave()
    await until('it is free', () => engine.stats.running === 0 && engine.stats.aborted === 1)
  })
})

describe('a fault in an answer in one piece', () => {
  const whole = async (fault: string) => ask(engine, { body: ten, headers: { 'x-sluice-sim-fault': fault } })

  it('is a 500 where a stream has an error event', async () => {
    const response = await whole('error-frame:4')
    expect(response.status).toBe(500)
    expect((await jsonOf(response)).error.type).toBe('InternalServerError')
  })

  it('is a finish reason', async () => {
    expect((await jsonOf(await whole('abort'))).choices[0]).toMatchObject({
      finish_reason: 'abort',
      message: { content: '' }
    })
  })

  it('is half a body, half a JSON text or no connection', async () => {
    await expect(whole('truncate:4').then((response) => response.text())).rejects.toThrow()
    await expect(whole('malformed:4').then((response) => response.json())).rejects.toThrow(SyntaxError)
    await expect(whole('reset:4')).rejects.toThrow()
  })
})

describe('a fault before the answer', () => {
  it.each([503, 429, 404])('refuses with %i and vLLM’s body', async (status) => {
    const response = await ask(engine, { headers: { 'x-sluice-sim-fault': `status:${status}` } })
    expect(response.status).toBe(status)
    expect((await jsonOf(response)).error.code).toBe(status)
  })

  it('delays the head, and others may follow it', async () => {
    const from = performance.now()
    const { text } = await stream('slow-head:60, abort:2')
    expect(performance.now() - from).toBeGreaterThan(55)
    expect(tokensOf(text)).toBe(2)
  })

  it('plays dead: no health, and 500 for requests', async () => {
    engine.setFaults([{ kind: 'engine-dead' }])
    expect((await fetch(`${engine.url}/health`)).status).toBe(503)
    expect((await ask(engine)).status).toBe(500)
    engine.setFaults([])
    expect((await fetch(`${engine.url}/health`)).status).toBe(200)
  })
})

describe('configured faults', () => {
  it('come as often as they say', async () => {
    engine.setFaults([{ kind: 'status', status: 503, times: 2 }])
    const statuses = []
    for (let tries = 0; tries < 4; tries++) statuses.push((await ask(engine, { body: { max_tokens: 1 } })).status)
    expect(statuses).toEqual([503, 503, 200, 200])
  })

  it('come with their probability, the same ones for the same seed', async () => {
    const run = async () => {
      await using fresh = await start({ faults: [{ kind: 'status', status: 503, probability: 0.5 }] })
      const statuses = []
      for (let tries = 0; tries < 20; tries++) statuses.push((await ask(fresh, { body: { max_tokens: 1 } })).status)
      return statuses
    }
    const statuses = await run()
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    expect(await run()).toEqual(statuses)
  })

  it('leave nothing behind when they are taken back', async () => {
    engine.setFaults([{ kind: 'abort', afterTokens: 1 }])
    expect((await askJson(engine, { body: ten })).choices[0].finish_reason).toBe('abort')
    engine.setFaults([])
    expect(tokensOf(await askStream(engine, ten))).toBe(10)
    expect(textOf(await askStream(engine, ten))).not.toBe('')
  })
})

describe('the header', () => {
  it.each<[string, Fault]>([
    ['status', { kind: 'status', status: 503 }],
    ['slow-head:250', { kind: 'slow-head', ms: 250 }],
    ['stall:3', { kind: 'stall', afterTokens: 3 }],
    ['stall:3:100', { kind: 'stall', afterTokens: 3, ms: 100 }],
    ['truncate', { kind: 'truncate', afterTokens: 0 }],
    ['engine-dead', { kind: 'engine-dead' }]
  ])('understands %s', (text, fault) => {
    expect(parseFaults(text)).toEqual([fault])
  })

  it.each(['nonsense', 'status:99', 'slow-head', 'reset:-1', 'stall:x'])(
    'does not understand %s, and says so',
    async (text) => {
      expect(() => parseFaults(text)).toThrow(`no such fault: ${text}`)
      expect((await ask(engine, { headers: { 'x-sluice-sim-fault': text } })).status).toBe(400)
    }
  )

  it('may carry several, and none', () => {
    expect(parseFaults('slow-head:5, reset:2').map(isStreamFault)).toEqual([false, true])
    expect(parseFaults('')).toEqual([])
  })
})
