import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { openChat } from '../helpers/client.ts'
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

const MiB = 1024 * 1024

let engines: SimEngine[]
let gateway: GatewayProcess
beforeAll(async () => {
  engines = await startEngines([FIREHOSE])
})
afterEach(() => gateway[Symbol.asyncDispose]())
afterAll(() => Promise.all(engines.map((engine) => engine.close())))

async function start(clientServer: 'auto' | 'fastify'): Promise<void> {
  const models = [{ name: MODEL, maxOutputTokens: 9_000_000 }]
  gateway = await spawnGateway(
    testConfig(
      engines.map(({ url }) => url),
      { pool: { models }, config: { clientServer, budget: { stalledMs: 4_000 } } }
    )
  )
}

describe('a reader that stops reading a fast engine', () => {
  it.each(['auto', 'fastify'] as const)(
    'served by %s costs at most 64 MiB, slows no neighbour, is given up in time and frees the engine',
    async (clientServer) => {
      await start(clientServer)
      const endless = { body: { stream: true, max_tokens: 8_000_000, ignore_eos: true } }
      // one stream to warm the process up, so that what is measured is the stall
      const warm = openChat(gateway.address, { body: { stream: true, max_tokens: 5_000, ignore_eos: true } })
      for await (const _ of await warm.head);
      const before = gateway.rssBytes()
      const stalled = openChat(gateway.address, endless)
      const response = await stalled.head
      response.pause()
      response.on('error', () => undefined)

      await sleep(1_000)
      const neighbour = openChat(gateway.address, { body: { stream: true, max_tokens: 500, ignore_eos: true } })
      let bytes = 0
      for await (const piece of await neighbour.head) bytes += piece.length
      expect(bytes).toBeGreaterThan(500 * 100)

      await sleep(1_000)
      const growth = gateway.rssBytes() - before
      process.stdout.write(`stalled reader on a firehose: memory grew by ${(growth / MiB).toFixed(1)} MiB\n`)
      expect(growth).toBeLessThan(64 * MiB)

      await until(
        'the stalled reader is given up',
        async () => (await readMetric(gateway.address, 'sluice_requests_total', { code: 'slow_reader' })) === 1
      )
      await until('the engine is free', () => engines[0]?.stats.running === 0)
      expect(await readMetric(gateway.address, 'sluice_active_requests')).toBe(0)
    }
  )
})
