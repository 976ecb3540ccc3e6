// A numbered, bounded log of server-sent events, which any number of readers follow, each at its own pace.

/** What one log may hold. */
export interface LogBounds {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** The memory that all logs share. */
export interface LogBudget {
  /** More is held than may be: a log that takes more makes room by forgetting its own oldest events. */
  readonly exceeded: boolean
  take(bytes: number): void
  give(bytes: number): void
}

/** Neighbouring events that leave in one write. */
export interface Stretch {
  readonly bytes: Buffer
  /** The number of the last event in it. */
  readonly last: number
}

/** Events are copied into pieces of memory of this size: a buffer of its own for each would cost more than the event. */
const SEGMENT_BYTES = 4_096
/** Forgotten places at the front of the list are cut off when there are so many. */
const MOST_FORGOTTEN = 1_024
const NOTHING = Buffer.alloc(0)

/**
 * Events have numbers from 1 on, which are their `id:`. When a bound is reached the oldest are forgotten: whoever reads
 * live never notices, and whoever comes back for one that is gone is told so.
 */
export class EventLog {
  readonly #bounds: LogBounds
  readonly #budget: LogBudget
  #events: Buffer[] = []
  /** How many places at the front of `#events` are forgotten. */
  #forgotten = 0
  #room: Buffer = NOTHING
  #last = 0
  #bytes = 0
  #ended = false
  readonly #followers = new Set<() => void>()
  #announced = true

  constructor(bounds: LogBounds, budget: LogBudget) {
    this.#bounds = bounds
    this.#budget = budget
  }

  /** The number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last
  }

  /** The number of the oldest event that is still here. */
  get first(): number {
    return this.#last - (this.#events.length - this.#forgotten) + 1
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Nothing will follow. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether a reader that has seen every event up to `after` finds the next one here. */
  continues(after: number): boolean {
    return after >= this.first - 1
  }

  /** Adds the event `number`, in parts. A number that is not the next one leaves a gap, and what is before it is forgotten. */
  append(number: number, ...parts: readonly Buffer[]): void {
    if (number !== this.#last + 1) this.#forget(this.#events.length - this.#forgotten)
    let length = 0
    for (const part of parts) length += part.length
    const event = this.#place(length)
    let at = 0
    for (const part of parts) at += part.copy(event, at)
    this.#events.push(event)
    this.#last = number
    this.#bytes += length
    this.#budget.take(length)
    while (this.#count > 1 && this.#exceeds()) this.#forget(1)
    this.touch()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.touch()
  }

  /** Tells the followers when the tick ends, though there is no new event. */
  touch(): void {
    if (!this.#announced) return
    this.#announced = false
    process.nextTick(() => this.announce())
  }

  /** The events after `after`, up to about `maxBytes` of them; undefined where there is none yet. */
  read(after: number, maxBytes: number): Stretch | undefined {
    const found: Buffer[] = []
    let bytes = 0
    let last = Math.max(after, this.first - 1)
    while (last < this.#last && (bytes === 0 || bytes < maxBytes)) {
      const event = this.at(++last)
      found.push(event)
      bytes += event.length
    }
    if (found.length === 0) return undefined
    return { bytes: found.length === 1 ? (found[0] as Buffer) : Buffer.concat(found, bytes), last }
  }

  /** The event of that number, which must be here. */
  at(number: number): Buffer {
    return this.#events[this.#forgotten + number - this.first] as Buffer
  }

  /** Calls `listener` when there is something new, once for all that came in one tick. */
  follow(listener: () => void): void {
    this.#followers.add(listener)
  }

  unfollow(listener: () => void): void {
    this.#followers.delete(listener)
  }

  /** Tells the followers now. */
  announce(): void {
    if (this.#announced) return
    this.#announced = true
    for (const listener of [...this.#followers]) listener()
  }

  /** Gives all of its memory back. */
  clear(): void {
    this.#forget(this.#count)
    this.#room = NOTHING
  }

  get #count(): number {
    return this.#events.length - this.#forgotten
  }

  #exceeds(): boolean {
    const { maxEvents, maxBytes } = this.#bounds
    return this.#count > maxEvents || this.#bytes > maxBytes || this.#budget.exceeded
  }

  #place(length: number): Buffer {
    if (this.#room.length < length) this.#room = Buffer.allocUnsafeSlow(Math.max(SEGMENT_BYTES, length))
    const place = this.#room.subarray(0, length)
    this.#room = this.#room.subarray(length)
    return place
  }

  #forget(count: number): void {
    for (let i = 0; i < count; i++) {
      const event = this.#events[this.#forgotten] as Buffer
      this.#bytes -= event.length
      this.#budget.give(event.length)
      this.#events[this.#forgotten++] = NOTHING
    }
    if (this.#forgotten < MOST_FORGOTTEN && this.#forgotten < this.#events.length) return
    this.#events = this.#events.slice(this.#forgotten)
    this.#forgotten = 0
  }
}
