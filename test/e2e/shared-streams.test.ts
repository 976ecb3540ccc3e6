import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { jsonOf, LONG } from '../helpers/client.ts'
import { seeded } from '../helpers/fakes.ts'
import {
  KEY,
  ROOMY,
  SMALL_KEY,
  spawnGateway,
  startEngines,
  startGateway,
  testConfig,
  until
} from '../helpers/gateway.ts'
import { isMissing } from '../helpers/program.ts'
import { REDIS, startRedis, type TestRedis } from '../helpers/redis.ts'
import { beginStream, idOf, postStream, readInPieces, SHORT, visit } from '../helpers/streams.ts'

const SIGNING_KEY = 'a-signing-key-of-more-than-32-characters'

type Streams = {
  readonly lostMs?: number
  readonly replayGraceMs?: number
  readonly maxJournalsPerKey?: number
}

describe.skipIf(isMissing(REDIS, 'tests with a real Redis', 'install Redis (Debian: apt-get install redis-server)'))(
  'gateways that share a Redis',
  () => {
    let redis: TestRedis
    let engines: SimEngine[]
    const stats = () => (engines[0] as SimEngine).stats
    const urls = () => engines.map(({ url }) => url)
    beforeAll(async () => {
      redis = await startRedis()
      engines = await startEngines([ROOMY])
    })
    afterAll(async () => {
      await Promise.all(engines.map((engine) => engine.close()))
      await redis[Symbol.asyncDispose]()
    })

    const joined = ({ lostMs, ...streams }: Streams = {}, url = redis.url) =>
      startGateway({
        engines: [],
        urls: urls(),
        config: { streams: { retryMs: 100, ...streams, redis: { lostMs: lostMs ?? 10_000 } } },
        streams: { signingKey: Buffer.from(SIGNING_KEY), redisUrl: url }
      })
    /** A gateway in a process of its own, which can be killed. */
    const spawned = () =>
      spawnGateway(
        testConfig(urls(), { config: { streams: { redis: { lostMs: 3_000 } }, budget: { propagationMs: 0 } } }),
        { SLUICE_REDIS_URL: redis.url, SLUICE_SIGNING_KEY: SIGNING_KEY }
      )
    const free = () => until('the engine is free', () => stats().running === 0)

    it('show each other’s streams, byte for byte, wherever a reader was cut and whichever it comes back to', async () => {
      await using first = await joined()
      await using second = await joined()
      const random = seeded(5)
      for (let round = 0; round < 8; round++) {
        const requests = stats().requests
        const { url } = await beginStream(first.address, { body: SHORT })
        const pieces = await readInPieces(
          (visits) => (visits % 2 === 0 ? first : second).address,
          url,
          () => 400 + Math.floor(random() * 6_000)
        )
        expect(pieces.visits).toBeGreaterThan(4)
        const whole = (await visit(first.address, url)).events
        expect(pieces.events.join('')).toBe(whole.join(''))
        expect((await visit(second.address, url)).events).toEqual(whole)
        expect(stats().requests).toBe(requests + 1)
      }
    })

    it('stream live to readers elsewhere, not at the end', async () => {
      await using first = await joined()
      await using second = await joined()
      const { url } = await beginStream(first.address, { body: LONG })
      expect((await visit(second.address, url, { cutAt: 20_000 })).events.length).toBeGreaterThan(20)
      expect(stats().running).toBe(1)
      await fetch(first.address + url, { method: 'DELETE' })
      await free()
    })

    it('cancel each other’s streams, and forget finished ones', async () => {
      await using first = await joined()
      await using second = await joined()
      const [{ url }, aborted] = [await beginStream(first.address, { body: LONG }), stats().aborted]
      const readers = [visit(first.address, url), visit(second.address, url)]
      await visit(second.address, url, { cutAt: 5_000 })
      expect((await fetch(second.address + url, { method: 'DELETE' })).status).toBe(204)
      for (const { events } of await Promise.all(readers)) {
        expect(events.at(-2)).toContain('"code":"stream_cancelled"')
        expect(events.at(-1)).toContain('[DONE]')
      }
      await until('the engine is freed', () => stats().aborted === aborted + 1 && stats().running === 0)
      expect((await fetch(second.address + url, { method: 'DELETE' })).status).toBe(204)
      await until('it is gone everywhere', async () => (await visit(first.address, url)).status === 404)
      expect((await visit(second.address, url)).status).toBe(404)
    })

    it('let a reader elsewhere keep an answer alive, and cancel it once the last one has left', async () => {
      await using first = await joined({ replayGraceMs: 4_000 })
      await using second = await joined({ replayGraceMs: 4_000 })
      const aborted = stats().aborted
      const { url } = await beginStream(first.address, { body: LONG })
      const leaving = new AbortController()
      const open = await fetch(second.address + url, { signal: leaving.signal })
      const read = open.text().catch(() => '')
      await sleep(8_500)
      expect(stats()).toMatchObject({ running: 1, aborted })
      leaving.abort()
      await read
      await until('the engine is freed', () => stats().aborted === aborted + 1 && stats().running === 0)
    })

    it('keep streams closed to other keys and changed URLs', async () => {
      await using first = await joined()
      await using second = await joined()
      const { id, url } = await beginStream(first.address, { body: SHORT })
      const status = async (path: string, key?: string) =>
        (await visit(second.address, path, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } }))
          .status
      expect(await status(`/v1/streams/${id}`, SMALL_KEY)).toBe(404)
      expect(await status(url.slice(0, -8))).toBe(403)
      expect(await status(`/v1/streams/${id}`, KEY)).toBe(200)
    })

    it('take a stream over a restart: it ends in order at the old one, and the new one has all of it', async () => {
      const old = await spawned()
      const { url } = await beginStream(old.address, { body: { ...LONG, max_tokens: 600 } })
      const had = await visit(old.address, url, { cutAt: 9_000 })
      old.child.kill('SIGTERM')
      await using other = await joined()
      const rest = await visit(other.address, url, { after: idOf(had.events.at(-1)) })
      expect(await old.exited).toBe(0)
      await old[Symbol.asyncDispose]()
      await using next = await spawned()
      const whole = await visit(next.address, url)
      expect(whole.events.length).toBeGreaterThan(600)
      expect(whole.events.at(-1)).toContain('[DONE]')
      expect([...had.events, ...rest.events].join('')).toBe(whole.events.join(''))
    })

    it('end a stream whose gateway died, with an error, for every reader and only once', async () => {
      await using first = await joined({ lostMs: 3_000 })
      await using second = await joined({ lostMs: 3_000 })
      const dying = await spawned()
      const { url } = await beginStream(dying.address, { body: LONG })
      const readers = [visit(first.address, url), visit(second.address, url)]
      const had = await visit(second.address, url, { cutAt: 9_000 })
      dying.child.kill('SIGKILL')
      await dying[Symbol.asyncDispose]()
      const [one, other] = await Promise.all(readers)
      expect(one?.events).toEqual(other?.events)
      expect(one?.events.slice(0, had.events.length)).toEqual(had.events)
      expect(one?.events.join('').match(/"code":"stream_lost"/g)).toHaveLength(1)
      expect(one?.events.at(-1)).toContain('[DONE]')
      const last = Number(idOf(one?.events.at(-1)))
      expect((await visit(first.address, url, { after: String(last) })).status).toBe(204)
      // who had more of it from the dead gateway than it could share is not told that this was all
      expect((await visit(first.address, url, { after: String(last + 1) })).status).toBe(502)
      await free()
    })

    it('keep a stream that runs, and find it again, when Redis has lost its data', async () => {
      await using own = await startRedis()
      await using first = await joined({}, own.url)
      await using second = await joined({}, own.url)
      const { url } = await beginStream(first.address, { body: LONG })
      const leaving = new AbortController()
      const open = await fetch(second.address + url, { signal: leaving.signal })
      const read = open.text().catch(() => '')
      await visit(second.address, url, { cutAt: 9_000 })
      await own.stop()
      await using emptied = await startRedis(own.port)
      await sleep(6_000)
      expect(stats().running).toBe(1)
      await using third = await joined({}, emptied.url)
      const isPartial = async () => (await visit(third.address, url, { cutAt: 9_000 })).status === 410
      await until('a reader that wants all of it is told that a part is gone', isPartial)
      leaving.abort()
      await read
      await fetch(first.address + url, { method: 'DELETE' })
      await free()
    })

    it('end a stream for readers elsewhere, too, when it is cancelled and forgotten at once', async () => {
      await using first = await joined()
      await using second = await joined()
      for (let round = 0; round < 5; round++) {
        const { url } = await beginStream(first.address, { body: LONG })
        const reader = visit(second.address, url)
        await visit(second.address, url, { cutAt: 5_000 })
        const cancel = () => fetch(first.address + url, { method: 'DELETE' })
        await Promise.all([cancel(), cancel()])
        const { events } = await reader
        expect(events.at(-1)).toContain('[DONE]')
      }
      await free()
    })

    it('keep no more in Redis than they may keep', async () => {
      await using first = await joined({ maxJournalsPerKey: 1 })
      await using second = await joined()
      const { url } = await beginStream(first.address, { body: SHORT })
      await visit(first.address, url)
      const { url: next } = await beginStream(first.address, { body: SHORT })
      // a gateway that was asked too early has a copy, which it keeps for as long as somebody comes back within 5 s
      const isGone = async () => (await visit(second.address, url)).status === 404 || sleep(6_000, false)
      await until('its place is used', isGone, 20_000)
      expect((await visit(second.address, next)).events.at(-1)).toContain('[DONE]')
    })

    it('count the grace time from when the last reader left, wherever that was', async () => {
      await using first = await joined({ replayGraceMs: 8_000 })
      await using second = await joined({ replayGraceMs: 8_000 })
      const { url } = await beginStream(first.address, { body: LONG })
      const leaving = new AbortController()
      const open = await fetch(second.address + url, { signal: leaving.signal })
      const read = open.text().catch(() => '')
      await sleep(4_000)
      const leftAtMs = performance.now()
      leaving.abort()
      await read
      await free()
      // a reader elsewhere is confirmed every second, so the last confirmation may be older than its leaving
      expect((stats().aborts.at(-1)?.atMs ?? 0) - leftAtMs).toBeGreaterThan(6_500)
    })

    it('say when Redis is away, serve what they run, and share again once it is back', async () => {
      const ours = await startRedis()
      await using first = await joined({}, ours.url)
      await using second = await joined({}, ours.url)
      const { url } = await beginStream(first.address, { body: { ...LONG, max_tokens: 1_500 } })
      await visit(second.address, url, { cutAt: 3_000 })
      await ours.stop()
      const refused = await postStream(first.address, { body: SHORT })
      expect([refused.status, (await jsonOf(refused)).error.code]).toEqual([503, 'streams_unavailable'])
      expect((await visit(first.address, url)).events.at(-1)).toContain('[DONE]')
      await using _again = await startRedis(ours.port)
      await until('streams are taken', async () => (await postStream(first.address, { body: SHORT })).status === 201)
      const { url: next } = await beginStream(first.address, { body: SHORT })
      await until('they are shared', async () => (await visit(second.address, next)).status === 200)
      expect((await visit(second.address, next)).events).toEqual((await visit(first.address, next)).events)
      const told = JSON.stringify([...first.log, ...second.log])
      expect(told).toContain('streams can’t be shared')
      expect(told).not.toContain('sesame')
    })
  }
)
