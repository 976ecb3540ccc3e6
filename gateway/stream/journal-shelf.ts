// The place where journals stand: how many there may be, how much memory they share, and which one goes when it is needed.
import type { Api } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import type { DistantJournal } from './distant-journal.ts'
import { EventLog, type LogBounds, type LogBudget } from './event-log.ts'
import { Journal } from './journal.ts'
import type { Viewer } from './viewer.ts'

/** Journals go when their readers have had them; a stream of a connection, of which the table speaks, ends sooner. */
const RETRY_MS = 5_000

export interface ShelfOptions extends LogBounds {
  readonly maxJournals: number
  readonly maxJournalsPerKey: number
  /** All events of all journals together. */
  readonly maxTotalBytes: number
}

/** A journal on the shelf: one that this gateway runs, or its copy of another gateway's. */
export class Kept {
  readonly id: string
  readonly keyId: string
  readonly api: Api
  readonly log: EventLog
  /** The journal, where this gateway runs it. */
  readonly own: Journal | undefined
  /** The copy, where another one does. */
  readonly distant: DistantJournal | undefined
  readonly viewers = new Set<Viewer>()
  /** When the last viewer left, or the journal came without one. */
  unwatchedSinceMs: number
  endedAtMs: number | undefined
  /** Redis is being asked about it. */
  asking = false

  constructor(source: Journal | DistantJournal, nowMs: number) {
    this.id = source.id
    this.keyId = source.owner.keyId
    this.api = source.owner.api
    this.log = source.log
    this.own = source instanceof Journal ? source : undefined
    this.distant = source instanceof Journal ? undefined : source
    this.unwatchedSinceMs = nowMs
  }

  /** It may go: it has ended, and nobody reads it. */
  get idle(): boolean {
    return this.log.ended && this.viewers.size === 0
  }
}

/** Journals by their id, the oldest first. A finished one that nobody reads makes room for a new one. */
export class JournalShelf implements LogBudget {
  readonly #options: ShelfOptions
  readonly #onPushedOut: (kept: Kept) => void
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  /** @param onPushedOut told of what had to make room */
  constructor(options: ShelfOptions, onPushedOut: (kept: Kept) => void) {
    this.#options = options
    this.#onPushedOut = onPushedOut
  }

  get exceeded(): boolean {
    return this.#bytes > this.#options.maxTotalBytes
  }

  take(bytes: number): void {
    this.#bytes += bytes
    while (this.exceeded && this.#removeOldest(() => true)) {}
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }

  createLog(): EventLog {
    return new EventLog(this.#options, this)
  }

  get(id: string): Kept | undefined {
    return this.#kept.get(id)
  }

  all(): Iterable<Kept> {
    return this.#kept.values()
  }

  /** Makes room for one more journal of this key. Throws `too_many_streams`. */
  makeRoom(keyId: string): void {
    const { maxJournals, maxJournalsPerKey } = this.#options
    const own = [...this.#kept.values()].filter((kept) => kept.own !== undefined)
    const ofKey = own.filter((kept) => kept.keyId === keyId).length
    if (ofKey >= maxJournalsPerKey && !this.#removeOldest((kept) => kept.own !== undefined && kept.keyId === keyId))
      throw new GatewayError('too_many_streams', {
        message: `Your key has ${ofKey} resumable streams that run or are watched; it may have ${maxJournalsPerKey}.`,
        retryAfterMs: RETRY_MS
      })
    if (own.length >= maxJournals && !this.#removeOldest((kept) => kept.own !== undefined))
      throw new GatewayError('too_many_streams', { retryAfterMs: RETRY_MS })
  }

  add(kept: Kept): void {
    this.#kept.set(kept.id, kept)
  }

  remove(kept: Kept): void {
    this.#kept.delete(kept.id)
    kept.distant?.close()
    kept.log.clear()
  }

  snapshot(): { running: number; finished: number; viewers: number; bytes: number } {
    let [running, finished, viewers] = [0, 0, 0]
    for (const kept of this.#kept.values()) {
      viewers += kept.viewers.size
      if (kept.own === undefined) continue
      if (kept.log.ended) finished++
      else running++
    }
    return { running, finished, viewers, bytes: this.#bytes }
  }

  #removeOldest(may: (kept: Kept) => boolean): boolean {
    for (const kept of this.#kept.values()) {
      if (!kept.idle || !may(kept)) continue
      this.remove(kept)
      this.#onPushedOut(kept)
      return true
    }
    return false
  }
}
