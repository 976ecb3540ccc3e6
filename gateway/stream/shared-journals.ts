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
  /** A viewer counts for so long after it was confirmed: it may be on its way back. */
  readonly replayGraceMs: number
}

/** An event stands there under the same number already, and it is another one: somebody else has ended this journal. */
export class SharedConflict extends Error {}

/** A viewer counts at least so long after it was confirmed, in ms; whoever has viewers confirms them every second. */
const VIEWERS_MS = 3_000
/** The events of a forgotten journal stay for so long, in ms: copies that have readers look every second. */
const FORGOTTEN_MS = 5_000
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
export class SharedJournals {
  readonly #redis: RedisConnection
  readonly #options: SharedOptions

  constructor(redis: RedisConnection, options: SharedOptions) {
    this.#redis = redis
    this.#options = options
  }

  async create(id: string, { keyId, api }: Omit<SharedOwner, 'gateway'>): Promise<void> {
    const { gateway, runningMs } = this.#options
    await this.#redis.send('HSET', this.#key('owner', id), 'keyId', keyId, 'api', api, 'gateway', gateway)
    await this.#expire(id, runningMs)
  }

  /** Adds events, and forgets those before `first`. Throws a `SharedConflict`. */
  async append(id: string, events: readonly SharedEvent[], first: number): Promise<void> {
    const { retentionMs, runningMs } = this.#options
    const ended = events.at(-1)?.bytes === undefined
    // one write, and Redis does it in this order; whoever is told too much finds nothing
    await Promise.all([
      ...events.map((event) => this.#add(id, event, first)),
      this.#expire(id, ended ? retentionMs : runningMs),
      this.#redis.send('PUBLISH', this.#key('news', id), '')
    ])
  }

  /** Undefined where there is no such journal. */
  async findOwner(id: string): Promise<SharedOwner | undefined> {
    const reply = await this.#redis.send('HMGET', this.#key('owner', id), 'keyId', 'api', 'gateway')
    const [keyId, api, gateway] = (reply as (Buffer | null)[]).map((value) => value?.toString())
    if (keyId === undefined || api === undefined || gateway === undefined) return undefined
    return { keyId, api: api as Api, gateway }
  }

  /** At most `count` events after `after`. */
  read(id: string, after: number, count: number): Promise<SharedEvent[]> {
    return this.#range(id, `(${after}-0`, '+', count)
  }

  /** Ends a journal for an owner that is gone, unless something stands at `number` already. */
  async abandon(id: string, number: number, bytes: Buffer): Promise<void> {
    const keys = [this.#key('log', id), this.#key('owner', id)]
    const values = [`${number}-0`, bytes, `${number + 1}-0`, String(this.#options.retentionMs)]
    try {
      await this.#redis.send('EVAL', ABANDON, '2', ...keys, ...values)
    } catch (cause) {
      if (!TAKEN.test(String(cause))) throw cause
    }
    await this.#redis.send('PUBLISH', this.#key('news', id), '')
  }

  /** Forgets a journal: nobody finds it any more; whoever reads it still gets its end. */
  async remove(id: string): Promise<void> {
    await Promise.all([
      this.#redis.send('DEL', this.#key('owner', id)),
      this.#redis.send('PEXPIRE', this.#key('log', id), String(FORGOTTEN_MS))
    ])
  }

  /** Says that somebody watches here. */
  async noteViewers(id: string): Promise<void> {
    const countsMs = Math.max(VIEWERS_MS, this.#options.replayGraceMs)
    await this.#redis.send('SET', this.#key('viewers', id), '1', 'PX', String(countsMs))
  }

  /** How long the last viewer that was confirmed still counts, in ms; 0 where none does. */
  async viewersCountMs(id: string): Promise<number> {
    return Math.max(0, Number(await this.#redis.send('PTTL', this.#key('viewers', id))))
  }

  /** Says that this gateway lives. */
  async noteLife(): Promise<void> {
    const { gateway, lostMs } = this.#options
    await this.#redis.send('SET', this.#gatewayKey(gateway), '1', 'PX', String(lostMs))
  }

  async lives(gateway: string): Promise<boolean> {
    return Number(await this.#redis.send('EXISTS', this.#gatewayKey(gateway))) > 0
  }

  /** Asks a gateway to cancel, or to forget, one of its journals; false: nobody listens there. */
  async askToCancel(gateway: string, id: string): Promise<boolean> {
    return Number(await this.#redis.send('PUBLISH', this.#gatewayKey(gateway), id)) > 0
  }

  /** Listens to what other gateways ask this one to cancel. */
  onCancel(listener: (id: string) => void): Promise<void> {
    return this.#redis.subscribe(this.#gatewayKey(this.#options.gateway), listener)
  }

  /** Calls `listener` when a journal has something new. */
  follow(id: string, listener: () => void): Promise<void> {
    return this.#redis.subscribe(this.#key('news', id), listener)
  }

  unfollow(id: string): Promise<void> {
    return this.#redis.unsubscribe(this.#key('news', id))
  }

  async #add(id: string, { number, bytes }: SharedEvent, first: number): Promise<void> {
    const trim = first > 1 ? ['MINID', '=', `${first}-0`] : []
    const fields = bytes === undefined ? ['end', '1'] : ['event', bytes]
    const place = `${number}-0`
    try {
      await this.#redis.send('XADD', this.#key('log', id), ...trim, place, ...fields)
    } catch (cause) {
      if (!TAKEN.test(String(cause))) throw cause
      // a lost reply makes us send an event twice
      const [there] = await this.#range(id, place, place, 1)
      if (there === undefined || !isSame(there.bytes, bytes)) throw new SharedConflict()
    }
  }

  async #range(id: string, from: string, to: string, count: number): Promise<SharedEvent[]> {
    return toEvents(await this.#redis.send('XRANGE', this.#key('log', id), from, to, 'COUNT', String(count)))
  }

  async #expire(id: string, ms: number): Promise<void> {
    const keys = [this.#key('log', id), this.#key('owner', id)]
    await Promise.all(keys.map((key) => this.#redis.send('PEXPIRE', key, String(ms))))
  }

  #key(kind: 'log' | 'owner' | 'viewers' | 'news', id: string): string {
    return `${this.#options.keyPrefix}{${id}}:${kind}`
  }

  #gatewayKey(gateway: string): string {
    return `${this.#options.keyPrefix}gateway:${gateway}`
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
