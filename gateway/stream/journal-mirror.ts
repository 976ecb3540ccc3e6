// Copies one journal of this gateway to Redis as it grows; it is a reader of the journal's log like any other.
import { GatewayError } from '../errors.ts'
import type { Journal } from './journal.ts'
import { SharedConflict, type SharedEvent, type SharedJournals } from './shared-journals.ts'

/** Events that are sent at once; meanwhile the next ones gather. */
const BATCH_EVENTS = 256
/** How long Redis is left alone after it failed, in ms. */
const RETRY_MS = 500

export class JournalMirror {
  readonly #journal: Journal
  readonly #shared: SharedJournals
  readonly #onTrouble: (cause: Error) => void
  #sent = 0
  #busy = false
  #done = false
  #retry: NodeJS.Timeout | undefined
  readonly #onNews = () => void this.#pump()

  /** @param onTrouble told when a batch could not be sent; it is tried again */
  constructor(journal: Journal, shared: SharedJournals, onTrouble: (cause: Error) => void) {
    this.#journal = journal
    this.#shared = shared
    this.#onTrouble = onTrouble
    journal.log.follow(this.#onNews)
  }

  get id(): string {
    return this.#journal.id
  }

  /** Redis has everything, the end included. */
  get done(): boolean {
    return this.#done
  }

  /** Says again whose the journal is, so that others find it. */
  async renew(): Promise<void> {
    if (!this.#done) await this.#shared.create(this.#journal.id, this.#journal.owner)
  }

  close(): void {
    this.#done = true
    clearTimeout(this.#retry)
    this.#journal.log.unfollow(this.#onNews)
  }

  /** One batch is on its way at a time, so that the numbers rise. */
  async #pump(): Promise<void> {
    if (this.#busy || this.#done || this.#retry !== undefined) return
    this.#busy = true
    try {
      for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
        await this.#shared.append(this.#journal.id, batch, this.#journal.log.first)
        this.#sent = batch.at(-1)?.number ?? this.#sent
        if (batch.at(-1)?.bytes === undefined) this.close()
      }
    } catch (cause) {
      this.#failed(cause as Error)
    } finally {
      this.#busy = false
    }
  }

  #next(): SharedEvent[] {
    if (this.#done) return []
    const { log } = this.#journal
    const batch: SharedEvent[] = []
    // what has been forgotten meanwhile is a gap, and whoever reads there is told so
    let number = Math.max(this.#sent + 1, log.first)
    while (number <= log.last && batch.length < BATCH_EVENTS) batch.push({ number, bytes: log.at(number++) })
    if (log.ended && number > log.last && batch.length < BATCH_EVENTS) batch.push({ number, bytes: undefined })
    return batch
  }

  #failed(cause: Error): void {
    if (cause instanceof SharedConflict) {
      this.close()
      this.#journal.cancel(new GatewayError('stream_lost', { cause }))
      return
    }
    this.#onTrouble(cause)
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#onNews()
    }, RETRY_MS)
    this.#retry.unref()
  }
}
