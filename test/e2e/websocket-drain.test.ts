// A gateway that leaves: its WebSockets' streams end, nothing new begins, and each connection is told to go elsewhere.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chatBody } from '../helpers/client.ts'
import { type GatewayProcess, QUICK, ROOMY, spawnGateway, startEngines, testConfig, until } from '../helpers/gateway.ts'
import { talkTo } from '../helpers/websocket.ts'

let engines: SimEngine[]
let gateway: GatewayProcess
beforeAll(async () => {
  engines = await startEngines([{ ...ROOMY, pace: { ...QUICK, interTokenMs: 10 } }])
})
afterAll(() => Promise.all(engines.map((engine) => engine.close())))
afterEach(() => gateway[Symbol.asyncDispose]())

/** By default the drain has room for a stream of 550 tokens, however slow the machine. */
async function start(drainMs = 30_000, propagationMs = 500): Promise<void> {
  const config = { budget: { propagationMs, drainMs } }
  gateway = await spawnGateway(
    testConfig(
      engines.map(({ url }) => url),
      { config }
    )
  )
}

const create = (id: string, tokens: number) => ({
  type: 'create',
  id,
  body: chatBody({ max_tokens: tokens, ignore_eos: true })
})
const phase = (name: string) => until(name, () => gateway.output().includes(`"phase":"${name}"`))

describe('SIGTERM', () => {
  it('lets streams end, begins none after the propagation delay, closes with 1001, and exits with 0', async () => {
    // seconds in which new work is served, and a stream that outlasts them
    await start(30_000, 3_000)
    const [busy, idle] = [await talkTo(gateway.address), await talkTo(gateway.address)]
    busy.say(create('a', 550))
    await busy.hear({ type: 'chunk', id: 'a' })
    gateway.child.kill('SIGTERM')
    await phase('unready')
    busy.say(create('b', 2))
    await busy.hear({ type: 'done', id: 'b' })
    await phase('closing')
    expect(await idle.closed).toEqual({ code: 1001, reason: 'shutting_down' })
    expect(busy.heard.filter(({ type, id }) => type === 'done' && id === 'a')).toEqual([])
    busy.say(create('c', 2))
    expect(await busy.hear({ type: 'error' })).toMatchObject({ id: 'c', status: 503, error: { code: 'shutting_down' } })
    expect(await busy.hear({ type: 'done', id: 'a' })).toMatchObject({ reason: 'complete' })
    expect(await busy.closed).toEqual({ code: 1001, reason: 'shutting_down' })
    expect(await gateway.exited).toBe(0)
  })

  it('ends what outlives the drain with an error, then closes with 1001, frees the engine and exits with 0', async () => {
    await start(4_000)
    const ours = await talkTo(gateway.address)
    ours.say(create('a', 50_000))
    await ours.hear({ type: 'chunk', id: 'a' })
    gateway.child.kill('SIGTERM')
    expect(await ours.hear({ type: 'error', id: 'a' })).toMatchObject({ status: 503, error: { code: 'shutting_down' } })
    expect((await ours.closed).code).toBe(1001)
    expect(await gateway.exited).toBe(0)
    await until('the engine is free', () => engines[0]?.stats.running === 0)
  })

  it('waits for no peer that does not answer the goodbye', async () => {
    await start()
    const ours = await talkTo(gateway.address)
    ours.socket.pause()
    gateway.child.kill('SIGTERM')
    expect(await gateway.exited).toBe(0)
    ours.socket.terminate()
  })
})
