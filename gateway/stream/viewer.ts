// One reader of a journal: takes its events at its own pace, is kept awake while there are none, and told when they end.
import type { Sink } from '../call.ts'
import { GatewayError } from '../errors.ts'
import type { EventLog } from './event-log.ts'
import type { Journal } from './journal.ts'
import { SSE_HEADERS } from './sse.ts'

export interface ViewerOptions {
  /** The number of the last event that the reader has; 0 for none. */
  readonly after: number
  /** How long a browser waits before it connects again. */
  readonly retryMs: number
  readonly heartbeatMs: number
  /** A reader that takes nothing for so long is cut off. */
  readonly stalledMs: number
}

/** How one viewer ended: everything was delivered, it left by itself, or it was cut off. */
export type ViewerEnd = 'complete' | 'left' | 'cut'

export interface ViewerDeps {
  /** A monotonic clock in ms. */
  readonly now: () => number
  /** Told once. */
  readonly onEnd: (viewer: Viewer, end: ViewerEnd) => void
}

/**
 * A line and no event: the blank line after it would end one, and clients of OpenAI's make an empty event of that once they
 * have seen an `id:` (openai-python 3, `SSEDecoder.decode`).
 */
const BEAT = Buffer.from(': heartbeat\n')

/** More than this is not gathered for one write. */
const STRETCH_BYTES = 65_536

export class Viewer {
  readonly #log: EventLog
  readonly #sink: Sink
  readonly #options: ViewerOptions
  readonly #deps: ViewerDeps
  /** The request that this reader began, until it has its head: an answer that is refused gets a status of its own. */
  #begins: Journal | undefined
  #seen: number
  #full = false
  #sentAtMs: number
  #over = false
  readonly #onNews = () => this.#pull()

  /** @param begins the journal whose request this reader sent, if it is that one */
  constructor(log: EventLog, sink: Sink, options: ViewerOptions, deps: ViewerDeps, begins?: Journal) {
    this.#log = log
    this.#sink = sink
    this.#options = options
    this.#deps = deps
    this.#begins = begins
    this.#seen = options.after
    this.#sentAtMs = deps.now()
  }

  /** The number of the last event that was sent. */
  get seen(): number {
    return this.#seen
  }

  start(): void {
    this.#sink.onGone(() => this.#finish('left'))
    this.#sink.onDrain(() => {
      this.#full = false
      this.#pull()
    })
    if (this.#sink.gone) {
      this.#finish('left')
      return
    }
    this.#log.follow(this.#onNews)
    if (this.#begins === undefined) {
      this.#sink.head(200, SSE_HEADERS)
      this.#write(Buffer.from(`retry: ${this.#options.retryMs}\n\n`))
    }
    this.#pull()
  }

  /** Looks at the clock: beats where nothing was sent, and gives a reader up that takes nothing. */
  tick(nowMs: number): void {
    if (this.#over || !this.#sink.headSent) return
    const silentMs = nowMs - this.#sentAtMs
    if (this.#full && silentMs > this.#options.stalledMs) this.stop(new GatewayError('slow_reader'))
    else if (!this.#full && silentMs >= this.#options.heartbeatMs) this.#write(BEAT)
  }

  /** Ends it early with an error that the reader sees; without one its connection just ends, and it may come again. */
  stop(error?: GatewayError): void {
    if (this.#over) return
    if (error === undefined) this.#sink.end()
    else this.#sink.fail(error, this.#seen)
    this.#finish('cut')
  }

  #pull(): void {
    if (this.#over || !this.#mayBegin()) return
    while (!this.#full && !this.#sink.gone) {
      if (!this.#log.continues(this.#seen)) {
        this.stop(new GatewayError('stream_truncated'))
        return
      }
      const stretch = this.#log.read(this.#seen, STRETCH_BYTES)
      if (stretch === undefined) break
      this.#seen = stretch.last
      this.#write(stretch.bytes)
    }
    if (!this.#log.ended || this.#seen < this.#log.last || this.#over) return
    // the gateway that sent the reader's last events died before it could share them
    if (this.#seen > this.#log.last) {
      this.stop(new GatewayError('stream_lost'))
      return
    }
    this.#sink.end()
    this.#finish('complete')
  }

  /** Whether the head has gone, or can go now. */
  #mayBegin(): boolean {
    const journal = this.#begins
    if (journal === undefined) return true
    if (journal.refusal !== undefined) {
      this.stop(journal.refusal)
      return false
    }
    if (!journal.headSent) return false
    this.#begins = undefined
    // no `retry:` for a POST, which no browser repeats by itself
    this.#sink.head(200, { ...SSE_HEADERS, ...journal.headers })
    return true
  }

  #write(bytes: Buffer): void {
    this.#sentAtMs = this.#deps.now()
    if (!this.#sink.write(bytes)) this.#full = true
  }

  #finish(end: ViewerEnd): void {
    if (this.#over) return
    this.#over = true
    this.#log.unfollow(this.#onNews)
    this.#deps.onEnd(this, end)
  }
}
