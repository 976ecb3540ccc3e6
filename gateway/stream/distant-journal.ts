// A journal that another gateway runs, as far as this one has readers for it: its events come from Redis.
import { GatewayError } from '../errors.ts'
import type { EventLog } from './event-log.ts'
import { errorEvent } from './journal.ts'
import type { SharedJournals, SharedOwner } from './shared-journals.ts'

/** Events that are read at once. */
const BATCH_EVENTS = 512
/**
 * An owner that is not there for so many looks in a row, a second apart, is taken for dead: when Redis comes back
 * empty, the owner may take 2 s longer to connect than this gateway (`MOST_RETRY_MS` of the connection).
 */
const LOOKS = 4

export class DistantJournal {
  readonly id: string
  readonly owner: SharedOwner
  readonly log: EventLog
  readonly #shared: SharedJournals
  #reading: Promise<void> | undefined
  #again = false
  #missing = 0
  #closed = false

  constructor(id: string, owner: SharedOwner, log: EventLog, shared: SharedJournals) {
    this.id = id
    this.owner = owner
    this.log = log
    this.#shared = shared
  }

  /** Takes in all that there is, and what comes. */
  async open(): Promise<void> {
    // a look that fails is made up for by the next one; whether Redis answers is told by whoever holds the connection
    await this.#shared.follow(this.id, () => this.read().catch(() => undefined))
    await this.read()
  }

  /** Takes in what is new; a reading that is under way looks once more. */
  read(): Promise<void> {
    this.#again = true
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readAll(): Promise<void> {
    while (this.#again && !this.#closed && !this.log.ended) {
      this.#again = false
      const events = await this.#shared.read(this.id, this.log.last, BATCH_EVENTS)
      if (events.length > 0) this.#again = true
      for (const { number, bytes } of events) {
        if (bytes === undefined) this.log.end()
        else this.log.append(number, bytes)
      }
    }
  }

  /**
   * Looks whether the owner lives, and ends the journal for it where it does not: readers get an error and an end, not
   * silence.
   */
  async check(): Promise<void> {
    // a message may get lost; the log itself does not
    await this.read()
    if (this.log.ended) return
    this.#missing = (await this.#shared.lives(this.owner.gateway)) ? 0 : this.#missing + 1
    if (this.#missing >= LOOKS) await this.abandon()
  }

  /** Ends the journal in its owner's place. */
  async abandon(): Promise<void> {
    await this.read()
    if (this.log.ended) return
    const number = this.log.last + 1
    await this.#shared.abandon(this.id, number, errorEvent(this.owner.api, new GatewayError('stream_lost'), number))
    await this.read()
  }

  close(): void {
    this.#closed = true
    // where Redis is away there is nothing to unfollow any more
    this.#shared.unfollow(this.id).catch(() => undefined)
  }
}
