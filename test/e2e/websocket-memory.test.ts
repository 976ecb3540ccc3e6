// A thousand WebSockets on one gateway: what each costs, and what one that stops reading costs the others.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chatBody } from '../helpers/client.ts'
import {
  FIREHOSE,
  type GatewayProcess,
  MODEL,
  readMetric,
  spawnGateway,
  startEngines,
  testConfig,
  until
} from '../helpers/gateway.ts'
import { type Talk, talkTo } from '../helpers/websocket.ts'

const MiB = 1024 * 1024
const CONNECTIONS = 1_000

let engines: SimEngine[]
let gateway: GatewayProcess
const talks: Talk[] = []

beforeAll(async () => {
  engines = await startEngines([FIREHOSE])
  const models = [{ name: MODEL, maxOutputTokens: 9_000_000 }]
  gateway = await spawnGateway(
    testConfig(
      engines.map(({ url }) => url),
      { pool: { models }, config: { budget: { stalledMs: 6_000, heartbeatMs: 2_000 } } }
    )
  )
})
afterAll(async () => {
  for (const { socket } of talks) socket.terminate()
  await gateway[Symbol.asyncDispose]()
  await Promise.all(engines.map((engine) => engine.close()))
})

const create = (id: string, tokens: number) => ({
  type: 'create',
  id,
  body: chatBody({ max_tokens: tokens, ignore_eos: true })
})

describe('1000 WebSockets', () => {
  it('with one stalled reader hold memory; the stalled one is given up, and the others are served', async () => {
    const first = await talkTo(gateway.address)
    talks.push(first)
    first.say(create('warm', 5_000))
    await first.hear({ type: 'done', id: 'warm' })
    await gateway.collectGarbage()
    const bare = gateway.rssBytes()
    while (talks.length < CONNECTIONS)
      talks.push(...(await Promise.all(Array.from({ length: 50 }, () => talkTo(gateway.address)))))
    const open = gateway.rssBytes()

    const stalled = talks[1] as Talk
    stalled.socket.pause()
    for (const id of ['a', 'b', 'c']) stalled.say(create(id, 8_000_000))
    await until(
      'its streams are under way',
      async () => (await readMetric(gateway.address, 'sluice_active_requests')) === 3
    )
    await sleep(1_500)
    const others = talks.slice(2, 22)
    for (const other of others) other.say(create('a', 100))
    await Promise.all(others.map((other) => other.hear({ type: 'done', id: 'a' })))
    const loaded = gateway.rssBytes()
    process.stdout.write(
      `1000 WebSockets: ${((open - bare) / talks.length / 1024).toFixed(1)} KiB each; one stalled on a firehose: ${((loaded - open) / MiB).toFixed(1)} MiB\n`
    )
    expect(open - bare).toBeLessThan(64 * MiB)
    expect(loaded - open).toBeLessThan(64 * MiB)

    // for its first full stream, or for the pings that it does not read either: whichever comes first
    const ended = (labels: Record<string, string>) => readMetric(gateway.address, 'sluice_requests_total', labels)
    const givenUp = async () => (await ended({ code: 'slow_reader' })) + (await ended({ outcome: 'client_gone' }))
    await until('the stalled one is given up', async () => (await givenUp()) === 3, 30_000)
    stalled.socket.resume()
    expect((await stalled.closed).code).toBe(1006)
    await until('the engine is free', () => engines[0]?.stats.running === 0)
    expect(await readMetric(gateway.address, 'sluice_active_requests')).toBe(0)
    expect(talks.filter(({ socket }) => socket.readyState === socket.OPEN).length).toBe(talks.length - 1)
  })
})
