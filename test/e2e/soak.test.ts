// Hundreds of clients that come, leave, stall and meet broken engines, for a while: nothing of them may stay behind.
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { type CrowdOptions, runCrowd, runStalled, type Tally } from '../helpers/crowd.ts'
import { seeded } from '../helpers/fakes.ts'
import {
  type GatewayProcess,
  INSTANT,
  MODEL,
  readMetric,
  spawnGateway,
  startEngines,
  testConfig,
  until
} from '../helpers/gateway.ts'

const MiB = 1024 * 1024
const SECONDS = Number(process.env.SLUICE_SOAK_SECONDS ?? (process.env.CI === 'true' ? 120 : 10))
const CLIENTS = 500
/** How many streams are read to their end at least. */
const LEAST_DONE = CLIENTS / 5
/** Readers that stall on an engine which writes as fast as it can. */
const STALLED = 4
const FIREHOSE = 'firehose'
const GAUGES = ['sluice_active_requests', 'sluice_queued_requests', 'sluice_engine_in_flight_requests']

let engines: SimEngine[]
let firehose: SimEngine[]
let gateway: GatewayProcess

beforeAll(async () => {
  const pace = { prefillOverheadMs: 20, prefillPerTokenMs: 0, interTokenMs: 80 }
  engines = await startEngines([{ pace }, { pace }])
  firehose = await startEngines([{ models: [FIREHOSE], pace: INSTANT, maxModelLen: 100_000 }])
  for (const engine of engines) {
    engine.setFaults([
      { kind: 'status', status: 503, probability: 0.02 },
      { kind: 'reset', afterTokens: 0, probability: 0.02 },
      { kind: 'abort', afterTokens: 0, probability: 0.02 },
      { kind: 'slow-head', ms: 300, probability: 0.05 },
      { kind: 'stall', afterTokens: 2, ms: 400, probability: 0.05 },
      { kind: 'reset', afterTokens: 3, probability: 0.03 },
      { kind: 'truncate', afterTokens: 3, probability: 0.03 },
      { kind: 'abort', afterTokens: 3, probability: 0.02 },
      { kind: 'error-frame', afterTokens: 3, probability: 0.01 },
      { kind: 'malformed', afterTokens: 3, probability: 0.01 }
    ])
  }
  const models = [{ name: MODEL, maxOutputTokens: 1_000 }]
  // fewer places than clients, so that some of them wait
  const config = testConfig(
    engines.map(({ url }) => url),
    { pool: { models, maxActivePerEngine: 200 }, config: { budget: { stalledMs: 2_000 } } }
  )
  const second = {
    name: FIREHOSE,
    models: [{ name: FIREHOSE, maxOutputTokens: 90_000 }],
    engines: { urls: firehose.map(({ url }) => url) }
  }
  gateway = await spawnGateway({ ...config, pools: [...config.pools, second] })
})
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await Promise.all([...engines, ...firehose].map((engine) => engine.close()))
})

const all = () => [...engines, ...firehose]
const openFiles = () => readdirSync(`/proc/${gateway.child.pid}/fd`).length
const sumOf = (read: (engine: SimEngine) => number) => all().reduce((sum, engine) => sum + read(engine), 0)

async function runLoad(seconds: number, seed: number): Promise<{ crowd: Tally; stalled: Tally }> {
  const options: CrowdOptions = {
    address: gateway.address,
    clients: CLIENTS,
    forMs: seconds * 1_000,
    leastDone: LEAST_DONE,
    random: seeded(seed)
  }
  const [crowd, stalled] = await Promise.all([
    runCrowd(options),
    runStalled(FIREHOSE, { ...options, clients: STALLED, random: seeded(seed + 1) })
  ])
  return { crowd, stalled }
}

/** Everything that requests take has been given back, the connections that were kept for a while among it. */
async function settle(filesAtStart: number): Promise<void> {
  for (const gauge of GAUGES)
    await until(`${gauge} is zero`, async () => (await readMetric(gateway.address, gauge)) === 0)
  await until('the engines run nothing', () => sumOf(({ stats }) => stats.running + stats.waiting) === 0)
  // the engines close what is idle for 5 s; what stays is the health probes'
  await until('idle connections are closed', () => sumOf(({ stats }) => stats.openSockets) <= 2 * all().length, 15_000)
  await until('files are closed', () => openFiles() <= filesAtStart + 2 * all().length + 4, 15_000)
}

/** What JavaScript holds, on its heap and outside. */
async function liveBytes(): Promise<number> {
  await gateway.collectGarbage()
  const heap = await readMetric(gateway.address, 'nodejs_heap_size_used_bytes')
  return heap + (await readMetric(gateway.address, 'nodejs_external_memory_bytes'))
}

it(
  'a crowd leaves no slot, no lease, no connection, no file and no memory behind',
  async () => {
    const filesAtStart = openFiles()
    const warmUp = await runLoad(Math.max(5, SECONDS / 4), 1)
    await settle(filesAtStart)
    await sleep(1_000)
    const rssAtStart = gateway.rssBytes()
    const liveAtStart = await liveBytes()
    const { crowd, stalled } = await runLoad(SECONDS, 2)
    await settle(filesAtStart)
    const allowed = liveAtStart * 1.1 + 16 * MiB
    const live = await liveBytes()
    const rss = gateway.rssBytes()
    const figures = [...Object.entries(crowd), ...Object.entries(stalled).map(([how, n]) => [`stalled: ${how}`, n])]
    process.stdout.write(
      `soak: ${CLIENTS} + ${STALLED} clients, ${SECONDS} s, ` +
        `${figures
          .filter(([, count]) => count !== 0)
          .map(([how, count]) => `${count} ${how}`)
          .join(', ')}; ` +
        `live memory ${(liveAtStart / MiB).toFixed(0)} -> ${(live / MiB).toFixed(0)} MiB, ` +
        `resident ${(rssAtStart / MiB).toFixed(0)} -> ${(rss / MiB).toFixed(0)} MiB, ` +
        `files ${filesAtStart} -> ${openFiles()}\n`
    )
    for (const tally of [warmUp.crowd, crowd]) {
      expect(tally.broken).toBe(0)
      expect(tally.done).toBeGreaterThanOrEqual(LEAST_DONE)
      for (const how of ['error event', 'left before the head', 'left in the middle', 'left while paused'] as const)
        expect(tally[how]).toBeGreaterThan(0)
    }
    expect(stalled['given up']).toBeGreaterThan(0)
    expect(await readMetric(gateway.address, 'sluice_requests_total', { code: 'internal_error' })).toBe(0)
    expect(gateway.output()).not.toContain('internal_error')
    expect(live).toBeLessThanOrEqual(allowed)
    expect(rss).toBeLessThanOrEqual(rssAtStart * 1.1 + 32 * MiB)
  },
  SECONDS * 2_000 + 240_000
)
