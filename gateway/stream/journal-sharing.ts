// A gateway's part in journals that several gateways share: mirrors its own, follows those of others, and says that it lives.
import { setTimeout as sleep } from 'node:timers/promises'
import { DistantJournal } from './distant-journal.ts'
import type { EventLog } from './event-log.ts'
import type { Journal } from './journal.ts'
import { JournalMirror } from './journal-mirror.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { SharedJournals } from './shared-journals.ts'

export interface JournalSharingDeps {
  readonly createLog: () => EventLog
  /** Another gateway's client wants one of this gateway's journals to end. */
  readonly onCancel: (id: string) => void
  /** Told of what Redis could not do. */
  readonly onTrouble: (cause: Error) => void
}

/** A request waits for Redis so long at most, in ms. */
const ANSWER_MS = 2_000
const LOOK_MS = 20

export class JournalSharing {
  readonly #redis: RedisConnection
  readonly #shared: SharedJournals
  readonly #deps: JournalSharingDeps
  readonly #mirrors = new Set<JournalMirror>()
  readonly #pulse: NodeJS.Timeout

  /** @param lostMs how long this gateway may be silent before others take it for dead */
  constructor(redis: RedisConnection, shared: SharedJournals, lostMs: number, deps: JournalSharingDeps) {
    this.#redis = redis
    this.#shared = shared
    this.#deps = deps
    this.#pulse = setInterval(() => this.#beat(), lostMs / 3)
    this.#pulse.unref()
  }

  /** Begins to listen and to say that this gateway lives. */
  async connect(): Promise<void> {
    await this.#redis.connect()
    this.#beat()
    this.#shared.onCancel(this.#deps.onCancel).catch(this.#deps.onTrouble)
  }

  /** Says again what a Redis that has lost its data can't know: that this gateway lives, and what it runs. */
  renew(): void {
    this.#beat()
    for (const mirror of this.#mirrors) mirror.renew().catch(this.#deps.onTrouble)
  }

  /** Mirrors a journal from now on; rejects where others could not find it. */
  async share(journal: Journal): Promise<void> {
    await within(ANSWER_MS, this.#shared.create(journal.id, journal.owner))
    this.#mirrors.add(new JournalMirror(journal, this.#shared, this.#deps.onTrouble))
  }

  /** A journal that another gateway runs or has run; undefined where there is none. */
  async find(id: string): Promise<DistantJournal | undefined> {
    const owner = await within(ANSWER_MS, this.#shared.findOwner(id))
    if (owner === undefined) return undefined
    const journal = new DistantJournal(id, owner, this.#deps.createLog(), this.#shared)
    try {
      await within(ANSWER_MS, journal.open())
      return journal
    } catch (cause) {
      journal.close()
      throw cause
    }
  }

  /** Forgets a journal of this gateway for every other one, once Redis has its end. */
  async remove(id: string): Promise<void> {
    await this.#whileBusy(ANSWER_MS, (mirror) => mirror.id === id)
    await within(ANSWER_MS, this.#shared.remove(id))
  }

  /** Cancels, or forgets, a journal of another gateway; where that is gone, ends it. */
  async cancel(journal: DistantJournal): Promise<void> {
    const { id, owner, log } = journal
    const heard = await within(ANSWER_MS, this.#shared.askToCancel(owner.gateway, id))
    if (log.ended) await this.#shared.remove(id)
    else if (!heard) await journal.abandon()
  }

  /** Says that somebody watches here. */
  noteViewers(id: string): Promise<void> {
    return this.#shared.noteViewers(id)
  }

  /** How long the readers elsewhere, or those who were there, still count, in ms. */
  viewersCountMs(id: string): Promise<number> {
    return this.#shared.viewersCountMs(id)
  }

  /** Waits until Redis has everything, for so long at most, and ends. */
  async close(withinMs: number): Promise<void> {
    clearInterval(this.#pulse)
    await this.#whileBusy(withinMs, () => true)
    for (const mirror of this.#mirrors) mirror.close()
    this.#redis.close()
  }

  async #whileBusy(withinMs: number, which: (mirror: JournalMirror) => boolean): Promise<void> {
    const isBusy = () => [...this.#mirrors].some((mirror) => which(mirror) && !mirror.done)
    for (let waitedMs = 0; waitedMs < withinMs && isBusy(); waitedMs += LOOK_MS) await sleep(LOOK_MS)
  }

  #beat(): void {
    for (const mirror of this.#mirrors) if (mirror.done) this.#mirrors.delete(mirror)
    this.#shared.noteLife().catch(this.#deps.onTrouble)
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
