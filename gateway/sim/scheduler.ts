// Continuous batching: who runs and who waits, whose KV blocks they are, and one timer whose every step gives all a token.
import { type Pace, planPrefill, stepMs } from './pace.ts'
import type { PrefixCache } from './prefix-cache.ts'
import type { Random } from './random.ts'
import type { Entry, Sequence, Ticket } from './sequence.ts'

export interface SchedulerOptions {
  readonly pace: Pace
  readonly maxNumSeqs: number
  readonly kvBlocks: number
  readonly blockSize: number
}

/** Is told what happens to sequences; times are those of the clock. */
export interface SchedulerObserver {
  onScheduled(entry: Entry, cachedTokens: number): void
  onToken(entry: Entry, nowMs: number): void
  onFinished(entry: Entry, nowMs: number): void
  onPreempted(): void
}

export interface SchedulerDeps {
  readonly clock: () => number
  readonly random: Random
  readonly prefixCache: PrefixCache
  readonly observer: SchedulerObserver
}

/** An engine without a pause between steps lets the event loop have a turn after so many. */
const STEPS_PER_TURN = 32
/** A step that is late by more than this is not made up for: the next ones keep their distance. */
const MAX_LAG_MS = 5

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #deps: SchedulerDeps
  readonly #waiting: Entry[] = []
  #running: Entry[] = []
  #usedBlocks = 0
  #prefillBusyUntilMs = 0
  #lastStepMs = 0
  #stepMs: number | undefined
  #disarm: (() => void) | undefined
  #inTurn = false
  #stopped = false

  constructor(options: SchedulerOptions, deps: SchedulerDeps) {
    this.#options = options
    this.#deps = deps
  }

  get running(): number {
    return this.#running.length
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get usedBlocks(): number {
    return this.#usedBlocks
  }

  /** Queues a sequence, which must fit into the KV blocks when nothing else does. */
  submit(sequence: Sequence): Ticket {
    const nowMs = this.#deps.clock()
    const entry: Entry = { sequence, state: 'waiting', leaving: false, blocks: 0, tokens: 0, queuedAtMs: nowMs }
    this.#waiting.push(entry)
    this.wake()
    return { drop: () => this.#drop(entry), leave: () => this.#leave(entry) }
  }

  /** To be called when a sequence is no longer held. */
  wake(): void {
    if (this.#inTurn) return
    this.#disarm?.()
    this.#disarm = undefined
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#disarm?.()
  }

  #drop(entry: Entry): void {
    if (entry.state === 'gone') return
    if (entry.state === 'waiting') this.#waiting.splice(this.#waiting.indexOf(entry), 1)
    else this.#release(entry)
    entry.state = 'gone'
    this.wake()
  }

  /** The step under way can't be called back: as in vLLM, its token is still generated, and then thrown away. */
  #leave(entry: Entry): void {
    if (!this.#isInStep(entry, this.#deps.clock())) {
      this.#drop(entry)
      return
    }
    entry.leaving = true
    // a sequence that was held until now has no step under way: there must be one
    this.wake()
  }

  #release(entry: Entry): void {
    this.#running = this.#running.filter((other) => other !== entry)
    this.#usedBlocks -= entry.blocks
    entry.blocks = 0
  }

  #isInStep(entry: Entry, nowMs: number): boolean {
    return entry.state === 'running' && (entry.readyAtMs ?? 0) <= nowMs && !entry.sequence.held
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.#options.blockSize)
  }

  /** First come, first served: whoever does not fit holds up those behind. */
  #admit(nowMs: number): void {
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      const blocks = this.#blocksFor(entry.sequence.prompt.length + entry.tokens + 1)
      const { maxNumSeqs, kvBlocks } = this.#options
      if (this.#running.length >= maxNumSeqs || this.#usedBlocks + blocks > kvBlocks) return
      this.#waiting.shift()
      this.#usedBlocks += blocks
      entry.blocks = blocks
      entry.state = 'running'
      this.#running.push(entry)
      this.#startPrefill(entry, nowMs)
    }
  }

  #startPrefill(entry: Entry, nowMs: number): void {
    const cached = this.#deps.prefixCache.match(entry.sequence.prompt)
    const tokens = entry.sequence.prompt.length + entry.tokens - cached
    const prefill = planPrefill(this.#options.pace, tokens, nowMs, this.#prefillBusyUntilMs, this.#deps.random)
    this.#prefillBusyUntilMs = prefill.busyUntilMs
    entry.readyAtMs = prefill.readyAtMs
    if (entry.scheduledAtMs !== undefined) return
    entry.scheduledAtMs = nowMs
    this.#deps.observer.onScheduled(entry, cached)
  }

  /** When the next step ends; undefined while there is nothing to do. */
  #dueMs(nowMs: number): number | undefined {
    const batch = this.#running.filter((entry) => this.#isInStep(entry, nowMs)).length
    if (batch === 0) {
      const prefilling = this.#running.filter(({ sequence }) => !sequence.held)
      return prefilling.length === 0 ? undefined : Math.min(...prefilling.map(({ readyAtMs }) => readyAtMs ?? 0))
    }
    this.#stepMs ??= stepMs(this.#options.pace, batch, this.#options.maxNumSeqs, this.#deps.random)
    return this.#lastStepMs + this.#stepMs
  }

  #arm(): void {
    if (this.#stopped) return
    const nowMs = this.#deps.clock()
    this.#admit(nowMs)
    const dueMs = this.#dueMs(nowMs)
    if (dueMs === undefined) return
    const turn = () => {
      this.#disarm = undefined
      this.#turn()
    }
    if (dueMs <= nowMs) {
      const immediate = setImmediate(turn)
      this.#disarm = () => clearImmediate(immediate)
    } else {
      const timer = setTimeout(turn, Math.ceil(dueMs - nowMs))
      this.#disarm = () => clearTimeout(timer)
    }
  }

  #turn(): void {
    this.#inTurn = true
    for (let steps = 0; steps < STEPS_PER_TURN && !this.#stopped; steps++) {
      const nowMs = this.#deps.clock()
      this.#admit(nowMs)
      const dueMs = this.#dueMs(nowMs)
      if (dueMs === undefined || dueMs > nowMs) break
      this.#lastStepMs = nowMs - dueMs > MAX_LAG_MS ? nowMs : dueMs
      this.#stepMs = undefined
      this.#step(nowMs)
    }
    this.#inTurn = false
    this.wake()
  }

  #step(nowMs: number): void {
    for (const entry of [...this.#running]) {
      if (this.#isInStep(entry, nowMs) && this.#grow(entry)) this.#advance(entry, nowMs)
    }
  }

  #advance(entry: Entry, nowMs: number): void {
    const { tokens, finishReason } = entry.sequence.emit()
    if (tokens > 0) {
      entry.tokens += tokens
      this.#deps.observer.onToken(entry, nowMs)
      entry.firstTokenAtMs ??= nowMs
      entry.lastTokenAtMs = nowMs
    }
    if (finishReason !== null) {
      entry.finishReason = finishReason
      this.#deps.observer.onFinished(entry, nowMs)
    }
    if (finishReason !== null || entry.leaving) this.#drop(entry)
  }

  /** Finds a place for one more token, at the cost of whoever was admitted last; false when that is the entry itself. */
  #grow(entry: Entry): boolean {
    while (this.#blocksFor(entry.sequence.prompt.length + entry.tokens + 1) > entry.blocks) {
      if (this.#usedBlocks < this.#options.kvBlocks) {
        entry.blocks += 1
        this.#usedBlocks += 1
        continue
      }
      const victim = this.#running.at(-1) as Entry
      this.#preempt(victim)
      if (victim === entry) return false
    }
    return true
  }

  /** Takes the blocks away; what was generated is prefilled again with the prompt when the entry's turn comes. */
  #preempt(entry: Entry): void {
    this.#release(entry)
    this.#deps.observer.onPreempted()
    entry.state = entry.leaving ? 'gone' : 'waiting'
    if (!entry.leaving) this.#waiting.unshift(entry)
  }
}
