// A gateway's part in journals that several gateways share: mirrors its own, follows those of others, and says that it lives.
import { DistantJournal } from './distant-journal.ts'
import type { EventLog } from './event-log.ts'
import type { Journal } from './journal.ts'
import { JournalMirror } from './journal-mirror.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { SharedJournals } from './shared-journals.ts'

export interface JournalSharing {
  /** Begins to listen and to say that this gateway lives. */
  connect(): Promise<void>
  /** Mirrors a journal from now on; rejects where others could not find it. */
  share(journal: Journal): Promise<void>
  /** A journal that another gateway runs or has run; undefined where there is none. */
  find(id: string): Promise<DistantJournal | undefined>
  /** Forgets it for every gateway. */
  remove(id: string): Promise<void>
  /** Cancels, or forgets, a journal of another gateway; where that is gone, ends it. */
  cancel(journal: DistantJournal): Promise<void>
  /** Says that somebody watches here. */
  noteViewers(id: string): Promise<void>
  hasViewers(id: string): Promise<boolean>
  /** Waits until Redis has everything, for so long at most, and ends. */
  close(withinMs: number): Promise<void>
}

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

/** @param lostMs how long this gateway may be silent before others take it for dead */
export function createJournalSharing(
  redis: RedisConnection,
  shared: SharedJournals,
  lostMs: number,
  deps: JournalSharingDeps
): JournalSharing {
  const mirrors = new Set<JournalMirror>()
  const noteLife = () => void shared.noteLife().catch(deps.onTrouble)
  const pulse = setInterval(() => {
    noteLife()
    for (const mirror of mirrors) if (mirror.done) mirrors.delete(mirror)
  }, lostMs / 3)
  pulse.unref()
  return {
    async connect() {
      await redis.connect()
      noteLife()
      shared.onCancel(deps.onCancel).catch(deps.onTrouble)
    },
    async share(journal) {
      const { api, principal } = journal.call
      await within(ANSWER_MS, shared.create(journal.id, { keyId: principal.keyId, api }))
      mirrors.add(new JournalMirror(journal, shared, deps.onTrouble))
    },
    async find(id) {
      const owner = await within(ANSWER_MS, shared.findOwner(id))
      if (owner === undefined) return undefined
      const journal = new DistantJournal(id, owner, deps.createLog(), shared)
      try {
        await within(ANSWER_MS, journal.open())
      } catch (cause) {
        journal.close()
        throw cause
      }
      return journal
    },
    remove: (id) => shared.remove(id),
    async cancel(journal) {
      const { id, owner, log } = journal
      const heard = await within(ANSWER_MS, shared.askToCancel(owner.gateway, id))
      if (log.ended) await shared.remove(id)
      else if (!heard) await journal.abandon()
    },
    noteViewers: (id) => shared.noteViewers(id),
    hasViewers: (id) => shared.hasViewers(id),
    async close(withinMs) {
      clearInterval(pulse)
      for (let waitedMs = 0; waitedMs < withinMs && [...mirrors].some((mirror) => !mirror.done); waitedMs += LOOK_MS)
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      for (const mirror of mirrors) mirror.close()
      redis.close()
    }
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
