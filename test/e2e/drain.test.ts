import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chat, chatBody, eventsOf, openChat } from '../helpers/client.ts'
import {
  type GatewayProcess,
  KEY,
  QUICK,
  ROOMY,
  spawnGateway,
  startEngines,
  testConfig,
  until
} from '../helpers/gateway.ts'
import { beginStream, visit } from '../helpers/streams.ts'

let engines: SimEngine[]
let gateway: GatewayProcess
beforeAll(async () => {
  engines = await startEngines([{ ...ROOMY, pace: { ...QUICK, interTokenMs: 10 } }])
})
afterAll(() => Promise.all(engines.map((engine) => engine.close())))
afterEach(() => gateway[Symbol.asyncDispose]())

const tokens = (count: number) => ({ body: { stream: true, max_tokens: count, ignore_eos: true } })

describe('an error that nobody caught', () => {
  it('ends the process with 1, but no stream that is open', async () => {
    const budget = { propagationMs: 3_000, drainMs: 30_000 }
    const urls = engines.map(({ url }) => url)
    const faults = { NODE_OPTIONS: '--import ./test/helpers/fault-on-signal.ts' }
    gateway = await spawnGateway(testConfig(urls, { config: { budget } }), faults)
    const open = await chat(gateway.address, tokens(400))
    gateway.child.kill('SIGHUP')
    await until('it is unready', async () => (await fetch(`${gateway.address}/readyz`)).status === 503)
    const events = eventsOf(await open.text())
    expect(events.filter((data) => data.includes('"error"'))).toEqual([])
    expect(events.length).toBeGreaterThan(400)
    expect(await gateway.exited).toBe(1)
    expect(gateway.output()).toContain('a fault for the test')
  })
})

describe.each(['auto', 'fastify'] as const)('SIGTERM, with clients served by %s,', (clientServer) => {
  /** By default the drain has room for streams of 500 tokens, however slow the machine. */
  const start = async (drainMs = 30_000, propagationMs = 500) => {
    const urls = engines.map(({ url }) => url)
    const budget = { propagationMs, drainMs }
    gateway = await spawnGateway(testConfig(urls, { config: { budget, clientServer } }))
  }

  it('fails readiness, serves new work for the propagation delay, finishes the open streams, and exits with 0', async () => {
    // seconds in which new work is served, and a stream that outlasts them
    await start(30_000, 4_000)
    const open = await chat(gateway.address, tokens(500))
    gateway.child.kill('SIGTERM')
    await until('it is unready', async () => (await fetch(`${gateway.address}/readyz`)).status === 503)
    const late = await chat(gateway.address, tokens(5))
    expect(late.status).toBe(200)
    expect(late.headers.get('connection')).toBe('close')
    expect(eventsOf(await late.text()).at(-1)).toBe('[DONE]')
    const events = eventsOf(await open.text())
    expect(events.filter((data) => data.includes('"error"'))).toEqual([])
    expect(events.length).toBeGreaterThan(500)
    expect(await gateway.exited).toBe(0)
  })

  it('tells the streams that outlive the grace period, frees the engine, and exits with 0', async () => {
    await start(3_000)
    const open = await chat(gateway.address, tokens(50_000))
    gateway.child.kill('SIGTERM')
    const events = eventsOf(await open.text())
    expect(JSON.parse(events.at(-2) ?? '').error.code).toBe('shutting_down')
    expect(events.at(-1)).toBe('[DONE]')
    expect(await gateway.exited).toBe(0)
    await until('the engine is free', () => engines[0]?.stats.running === 0)
  })

  it('finishes an answer that is begun and that nobody reads at the moment', async () => {
    await start()
    const { url } = await beginStream(gateway.address, { body: { max_tokens: 120, ignore_eos: true } })
    await visit(gateway.address, url, { cutAt: 2_000 })
    const { aborted } = (engines[0] as SimEngine).stats
    gateway.child.kill('SIGTERM')
    expect(await gateway.exited).toBe(0)
    expect(gateway.output()).toMatch(/"state":"complete".*"message":"stream"/)
    expect(engines[0]?.stats.aborted).toBe(aborted)
  })

  it('takes no connection any more after the propagation delay', async () => {
    await start()
    const open = openChat(gateway.address, tokens(50_000))
    ;(await open.head).resume()
    gateway.child.kill('SIGTERM')
    await until('it is closed', () =>
      fetch(`${gateway.address}/healthz`).then(
        () => false,
        () => true
      )
    )
    expect(gateway.child.exitCode).toBeNull()
    open.leave()
    expect(await gateway.exited).toBe(0)
  })

  it('closes a connection whose answer ends meanwhile, so that the next request goes elsewhere', async () => {
    await start()
    const holder = openChat(gateway.address, tokens(50_000))
    ;(await holder.head).resume()
    const sent = request(`${gateway.address}/v1/chat/completions`, {
      method: 'POST',
      agent: new Agent({ keepAlive: true }),
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
    })
    sent.end(JSON.stringify(chatBody(tokens(120).body)))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    gateway.child.kill('SIGTERM')
    let text = ''
    for await (const bytes of response) text += bytes
    expect(eventsOf(text).at(-1)).toBe('[DONE]')
    await until('it is closed', () => sent.destroyed && sent.socket?.destroyed === true, 5_000)
    expect(gateway.child.exitCode).toBeNull()
    holder.leave()
    expect(await gateway.exited).toBe(0)
  })

  it('ends at once when it comes twice', async () => {
    await start()
    const open = openChat(gateway.address, tokens(50_000))
    const response = await open.head
    response.on('error', () => undefined)
    gateway.child.kill('SIGTERM')
    await until('the first is heard', () => gateway.output().includes('"signal":"SIGTERM"'))
    gateway.child.kill('SIGTERM')
    expect(await gateway.exited).toBe(1)
  })
})
