// The life of a gateway's journals: who begins, finds, watches and cancels them, when nobody watches, how long they are kept.
import type { Call, Sink } from '../call.ts'
import type { Api } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import type { EventLog } from './event-log.ts'
import { Journal } from './journal.ts'
import type { JournalSharing } from './journal-sharing.ts'
import { JournalShelf, Kept, type ShelfOptions } from './journal-shelf.ts'
import { Viewer, type ViewerEnd, type ViewerOptions } from './viewer.ts'

export interface JournalsOptions extends ShelfOptions, Omit<ViewerOptions, 'after'> {
  /** A running answer that nobody watches for so long is cancelled. */
  readonly replayGraceMs: number
  /** A finished journal is kept so long, unless its place is needed. */
  readonly retentionMs: number
  readonly maxViewers: number
}

/** What one reader got, for the log and the metrics. */
export interface ViewerRecord {
  readonly id: string
  readonly after: number
  readonly seen: number
  readonly end: ViewerEnd
}

export interface JournalsDeps {
  readonly newId: () => string
  /** A monotonic clock in ms. */
  readonly now: () => number
  readonly onJournalEnd: (journal: Journal) => void
  readonly onViewerEnd: (record: ViewerRecord) => void
  /** Told of what Redis could not do. */
  readonly onTrouble: (cause: Error) => void
}

/** A journal that can be watched here, whoever runs it. */
export interface Stream {
  readonly id: string
  /** The API key that began it. */
  readonly keyId: string
  /** Whose shapes its events have. */
  readonly api: Api
  readonly log: EventLog
}

/** How often the clock is looked at, in ms. */
const TICK_MS = 100
/** Copies of others' journals are looked after so often, in ms. */
const DISTANT_MS = 1_000
/** A copy that nobody watches is let go after so long, in ms: readers come back within their `retry:`. */
const LINGER_MS = 5_000
/** How long the last events may take to Redis when the gateway closes, in ms. */
const CLOSE_MS = 2_000

export class Journals {
  readonly #options: JournalsOptions
  readonly #deps: JournalsDeps
  readonly #shelf: JournalShelf
  readonly #looking = new Map<string, Promise<Kept | undefined>>()
  readonly #timer: NodeJS.Timeout
  #sharing: JournalSharing | undefined
  #distantAtMs = 0

  constructor(options: JournalsOptions, deps: JournalsDeps) {
    this.#options = options
    this.#deps = deps
    // the Redis of all has no bounds of its own
    this.#shelf = new JournalShelf(options, ({ id, own }) => {
      if (own !== undefined) void this.#ask(() => this.#sharing?.remove(id), undefined)
    })
    this.#timer = setInterval(() => this.#tick(deps.now()), Math.min(TICK_MS, options.replayGraceMs / 4))
    this.#timer.unref()
  }

  /** Shares journals with other gateways from now on. */
  join(sharing: JournalSharing): void {
    this.#sharing = sharing
  }

  /** Begins to share, where journals are shared. */
  async connect(): Promise<void> {
    await this.#sharing?.connect()
  }

  createLog(): EventLog {
    return this.#shelf.createLog()
  }

  snapshot(): ReturnType<JournalShelf['snapshot']> {
    return this.#shelf.snapshot()
  }

  /** The journal of a call that is about to begin. Throws `too_many_streams` or `streams_unavailable`. */
  async create(call: Call): Promise<Journal> {
    this.#shelf.makeRoom(call.principal.keyId)
    const journal = new Journal(this.#deps.newId(), call, this.#shelf.createLog())
    const kept = new Kept(journal, this.#deps.now())
    this.#shelf.add(kept)
    try {
      await this.#sharing?.share(journal)
    } catch (cause) {
      this.#shelf.remove(kept)
      throw new GatewayError('streams_unavailable', { cause })
    }
    kept.unwatchedSinceMs = this.#deps.now()
    journal.log.follow(() => this.#noteEnd(kept, journal))
    return journal
  }

  /** Finds a journal here or, where journals are shared, anywhere. Throws `streams_unavailable`. */
  async find(id: string): Promise<Stream | undefined> {
    const here = this.#shelf.get(id)
    if (here !== undefined || this.#sharing === undefined) return here
    const looking = this.#looking.get(id) ?? this.#findDistant(id, this.#sharing)
    this.#looking.set(id, looking)
    try {
      return await looking
    } catch (cause) {
      throw new GatewayError('streams_unavailable', { cause })
    } finally {
      this.#looking.delete(id)
    }
  }

  async #findDistant(id: string, sharing: JournalSharing): Promise<Kept | undefined> {
    const journal = await sharing.find(id)
    if (journal === undefined) return undefined
    const kept = new Kept(journal, this.#deps.now())
    this.#shelf.add(kept)
    return kept
  }

  /** Throws `too_many_viewers`. */
  checkRoom({ id }: Stream): void {
    if ((this.#shelf.get(id)?.viewers.size ?? 0) >= this.#options.maxViewers) throw new GatewayError('too_many_viewers')
  }

  /**
   * Lets a reader follow a stream that has been found.
   *
   * @param after the number of the last event that the reader has; 0 for none
   * @param begins the journal, where this reader's request began it
   */
  watch({ id }: Pick<Stream, 'id'>, sink: Sink, after: number, begins?: Journal): void {
    const kept = this.#shelf.get(id)
    if (kept === undefined) {
      sink.fail(new GatewayError('stream_not_found'), 0)
      return
    }
    const { now, onViewerEnd } = this.#deps
    const onEnd = (viewer: Viewer, end: ViewerEnd) => {
      kept.viewers.delete(viewer)
      if (kept.viewers.size === 0) kept.unwatchedSinceMs = now()
      onViewerEnd({ id, after, seen: viewer.seen, end })
    }
    const viewer = new Viewer(kept.log, sink, { ...this.#options, after }, { now, onEnd }, begins)
    kept.viewers.add(viewer)
    if (kept.distant !== undefined) this.#confirmViewers(kept)
    viewer.start()
  }

  /** Ends a running answer, and forgets a finished one. Throws `streams_unavailable`. */
  async cancel({ id }: Pick<Stream, 'id'>): Promise<void> {
    const distant = this.#shelf.get(id)?.distant
    try {
      if (distant === undefined) return await this.cancelOwn(id)
      await this.#sharing?.cancel(distant)
    } catch (cause) {
      throw new GatewayError('streams_unavailable', { cause })
    }
    const kept = this.#shelf.get(id)
    if (kept?.log.ended) this.#shelf.remove(kept)
  }

  /** The same for a journal that this gateway runs; another one is left alone. */
  async cancelOwn(id: string): Promise<void> {
    const kept = this.#shelf.get(id)
    if (kept?.own === undefined) return
    if (!kept.log.ended) return kept.own.cancel(new GatewayError('stream_cancelled'))
    try {
      await this.#sharing?.remove(id)
    } finally {
      // not before: what others still need of it is read from here
      this.#shelf.remove(kept)
    }
  }

  /** Sends the readers of others' journals away: they come back, to a gateway that stays. */
  releaseDistant(): void {
    for (const { own, viewers } of this.#shelf.all()) if (own === undefined) for (const viewer of viewers) viewer.stop()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sharing?.close(CLOSE_MS)
  }

  #noteEnd(kept: Kept, journal: Journal): void {
    if (!kept.log.ended || kept.endedAtMs !== undefined) return
    kept.endedAtMs = this.#deps.now()
    this.#deps.onJournalEnd(journal)
  }

  #tick(nowMs: number): void {
    const { replayGraceMs, retentionMs } = this.#options
    const looksAfterDistant = nowMs - this.#distantAtMs >= DISTANT_MS
    if (looksAfterDistant) this.#distantAtMs = nowMs
    for (const kept of this.#shelf.all()) {
      for (const viewer of kept.viewers) viewer.tick(nowMs)
      const unwatchedMs = kept.viewers.size === 0 ? nowMs - kept.unwatchedSinceMs : 0
      if (kept.own === undefined) {
        if (unwatchedMs > LINGER_MS) this.#shelf.remove(kept)
        else if (looksAfterDistant) this.#lookAfterDistant(kept)
      } else if (kept.endedAtMs !== undefined) {
        if (kept.idle && nowMs - kept.endedAtMs > retentionMs) this.#shelf.remove(kept)
      } else if (unwatchedMs > replayGraceMs) this.#cancelUnwatched(kept, kept.own)
    }
  }

  /** Readers at other gateways count; while nobody can say whether there are any, so does the doubt. */
  async #cancelUnwatched(kept: Kept, journal: Journal): Promise<void> {
    if (kept.asking) return
    kept.asking = true
    const { replayGraceMs } = this.#options
    const countMs = (await this.#ask(() => this.#sharing?.viewersCountMs(kept.id), replayGraceMs)) ?? 0
    kept.asking = false
    // whoever came and left meanwhile counts, too
    const sinceMs = this.#deps.now() - replayGraceMs + countMs
    if (countMs > 0) kept.unwatchedSinceMs = Math.max(kept.unwatchedSinceMs, sinceMs)
    else if (kept.viewers.size === 0 && kept.unwatchedSinceMs < sinceMs)
      journal.cancel(new GatewayError('stream_unwatched'))
  }

  async #lookAfterDistant(kept: Kept): Promise<void> {
    const { distant } = kept
    if (kept.asking || kept.log.ended) return
    kept.asking = true
    if (kept.viewers.size > 0) this.#confirmViewers(kept)
    await this.#ask(() => distant?.check(), undefined)
    kept.asking = false
  }

  #confirmViewers({ id }: Kept): void {
    void this.#ask(() => this.#sharing?.noteViewers(id), undefined)
  }

  async #ask<T>(question: () => Promise<T> | undefined, otherwise: T): Promise<T | undefined> {
    try {
      return await question()
    } catch (cause) {
      this.#deps.onTrouble(cause as Error)
      return otherwise
    }
  }
}
