// What gateways tell each other of their journals in Redis: the events of each, who writes it, who watches, who cancels.
import type { Api } from '../engine-routes.ts'
import type { RedisConnection } from './redis-connection.ts'

/** One event of a shared journal; without bytes it is the mark that nothing follows. */
export interface SharedEvent {
  readonly number: number
  readonly bytes: Buffer | undefined
}

/** Whose a shared journal is. */
export interface SharedOwner {
  /** The API key that began it. */
  readonly keyId: string
  /** Whose shapes its events have. */
  readonly api: Api
  /** The gateway that runs it. */
  readonly gateway: string
}

export interface SharedOptions {
  /** This gateway's name among those that share the Redis. */
  readonly gateway: string
  readonly keyPrefix: string
  /** A running journal that nobody writes to is kept so long, a finished one for `retentionMs`. */
  readonly runningMs: number
  readonly retentionMs: number
  /** A gateway that has not said for so long that it lives is taken for dead. */
  readonly lostMs: number
}

/** An event stands there under the same number already, and it is another one: somebody else has ended this journal. */
export class SharedConflict extends Error {}

export interface SharedJournals {
  create(id: string, owner: Omit<SharedOwner, 'gateway'>): Promise<void>
  /** Adds events, and forgets those before `first`. Throws a `SharedConflict`. */
  append(id: string, events: readonly SharedEvent[], first: number): Promise<void>
  /** Undefined where there is no such journal. */
  findOwner(id: string): Promise<SharedOwner | undefined>
  /** At most `count` events after `after`. */
  read(id: string, after: number, count: number): Promise<SharedEvent[]>
  /** Ends a journal for an owner that is gone, unless something stands at `number` already. */
  abandon(id: string, number: number, bytes: Buffer): Promise<void>
  remove(id: string): Promise<void>
  /** Says that somebody watches here, for a few seconds. */
  noteViewers(id: string): Promise<void>
  hasViewers(id: string): Promise<boolean>
  /** Says that this gateway lives. */
  noteLife(): Promise<void>
  lives(gateway: string): Promise<boolean>
  /** Asks a gateway to cancel, or to forget, one of its journals; false: nobody listens there. */
  askToCancel(gateway: string, id: string): Promise<boolean>
  /** Listens to what other gateways ask this one to cancel. */
  onCancel(listener: (id: string) => void): Promise<void>
  /** Calls `listener` when a journal has something new. */
  follow(id: string, listener: () => void): Promise<void>
  unfollow(id: string): Promise<void>
}

/** How long a viewer that nobody has confirmed counts, in ms; whoever has viewers confirms them every second. */
const VIEWERS_MS = 3_000
const TAKEN = /equal or smaller/
/** Both or neither: the second is not tried where the first is refused. */
const ABANDON = `redis.call('XADD', KEYS[1], ARGV[1], 'event', ARGV[2])
redis.call('XADD', KEYS[1], ARGV[3], 'end', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])`

/**
 * A journal is a Redis Stream whose entry `N-0` is event N, so that no event can stand there twice, and whoever ends a
 * journal in its owner's place shuts the owner out by that alone.
 */
export function createSharedJournals(redis: RedisConnection, options: SharedOptions): SharedJournals {
  const { keyPrefix, runningMs, retentionMs, lostMs } = options
  const key = (kind: 'log' | 'owner' | 'viewers' | 'news', id: string) => `${keyPrefix}{${id}}:${kind}`
  const gatewayKey = (gateway: string) => `${keyPrefix}gateway:${gateway}`
  const count = async (...command: (string | Buffer)[]) => Number(await redis.send(...command))
  const expire = (id: string, ms: number) =>
    Promise.all((['log', 'owner'] as const).map((kind) => redis.send('PEXPIRE', key(kind, id), String(ms))))
  const read = async (id: string, from: string, to: string, most: number) =>
    toEvents(await redis.send('XRANGE', key('log', id), from, to, 'COUNT', String(most)))

  async function add(id: string, { number, bytes }: SharedEvent, first: number): Promise<void> {
    const trim = first > 1 ? ['MINID', '=', `${first}-0`] : []
    const fields = bytes === undefined ? ['end', '1'] : ['event', bytes]
    try {
      await redis.send('XADD', key('log', id), ...trim, `${number}-0`, ...fields)
    } catch (cause) {
      if (!TAKEN.test(String(cause))) throw cause
      // a lost reply makes us send an event twice
      const [there] = await read(id, `${number}-0`, `${number}-0`, 1)
      if (there === undefined || !isSame(there.bytes, bytes)) throw new SharedConflict()
    }
  }

  return {
    async create(id, { keyId, api }) {
      await redis.send('HSET', key('owner', id), 'keyId', keyId, 'api', api, 'gateway', options.gateway)
      await expire(id, runningMs)
    },
    async append(id, events, first) {
      const ended = events.at(-1)?.bytes === undefined
      // one write, and Redis does it in this order; whoever is told too much finds nothing
      await Promise.all([
        ...events.map((event) => add(id, event, first)),
        expire(id, ended ? retentionMs : runningMs),
        redis.send('PUBLISH', key('news', id), '')
      ])
    },
    async findOwner(id) {
      const found = (await redis.send('HMGET', key('owner', id), 'keyId', 'api', 'gateway')) as (Buffer | null)[]
      if (found.includes(null)) return undefined
      const [keyId, api, gateway] = found.map(String) as [string, Api, string]
      return { keyId, api, gateway }
    },
    read: (id, after, most) => read(id, `(${after}-0`, '+', most),
    async abandon(id, number, bytes) {
      const keys = [key('log', id), key('owner', id)]
      try {
        await redis.send('EVAL', ABANDON, '2', ...keys, `${number}-0`, bytes, `${number + 1}-0`, String(retentionMs))
      } catch (cause) {
        if (!TAKEN.test(String(cause))) throw cause
      }
      await redis.send('PUBLISH', key('news', id), '')
    },
    async remove(id) {
      await redis.send('DEL', key('log', id), key('owner', id))
    },
    async noteViewers(id) {
      await redis.send('SET', key('viewers', id), '1', 'PX', String(VIEWERS_MS))
    },
    hasViewers: async (id) => (await count('EXISTS', key('viewers', id))) > 0,
    async noteLife() {
      await redis.send('SET', gatewayKey(options.gateway), '1', 'PX', String(lostMs))
    },
    lives: async (gateway) => (await count('EXISTS', gatewayKey(gateway))) > 0,
    askToCancel: async (gateway, id) => (await count('PUBLISH', gatewayKey(gateway), id)) > 0,
    onCancel: (listener) => redis.subscribe(gatewayKey(options.gateway), listener),
    follow: (id, listener) => redis.subscribe(key('news', id), listener),
    unfollow: (id) => redis.unsubscribe(key('news', id))
  }
}

/** XRANGE answers `[["7-0", ["event", bytes]], …]`. */
function toEvents(reply: unknown): SharedEvent[] {
  return (reply as [Buffer, [Buffer, Buffer]][]).map(([place, [kind, bytes]]) => ({
    number: Number.parseInt(String(place), 10),
    bytes: String(kind) === 'event' ? bytes : undefined
  }))
}

const isSame = (a: Buffer | undefined, b: Buffer | undefined) =>
  a === undefined || b === undefined ? a === b : a.equals(b)
