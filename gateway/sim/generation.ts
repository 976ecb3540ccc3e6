// One request from its place in the queue to its last byte: what each step puts out, what faults do, who leaves.
import type { Answer } from './answer.ts'
import { type Choice, createChoice } from './choice.ts'
import type { StreamFault } from './faults.ts'
import { ABORTED } from './output.ts'
import type { GenerationRequest } from './request.ts'
import type { Scheduler } from './scheduler.ts'
import type { Emission, Ticket } from './sequence.ts'
import type { SimAbort, StatsBook } from './stats.ts'
import type { Wire } from './wire.ts'

export interface GenerationParts {
  readonly requestId: string
  readonly request: GenerationRequest
  readonly answer: Answer
  readonly wire: Wire
  readonly faults: readonly StreamFault[]
  readonly seed: number
}

export interface GenerationDeps {
  readonly scheduler: Scheduler
  readonly book: StatsBook
  readonly clock: () => number
  /** Is told of each choice that the engine ends itself. */
  onEngineAbort(): void
}

interface RunningChoice {
  readonly choice: Choice
  ticket: Ticket | undefined
  isFinished: boolean
}

const NOTHING: Emission = { tokens: 0, finishReason: null }

export class Generation {
  readonly #parts: GenerationParts
  readonly #deps: GenerationDeps
  readonly #choices: readonly RunningChoice[]
  #faults: readonly StreamFault[]
  #tokens = 0
  #isStalled = false
  #resume: NodeJS.Timeout | undefined
  #abort: SimAbort | undefined

  constructor(parts: GenerationParts, deps: GenerationDeps) {
    this.#parts = parts
    this.#deps = deps
    this.#faults = parts.faults
    const { request, seed } = parts
    this.#choices = request.prompts.flatMap((prompt) =>
      Array.from({ length: request.n }, (_, index) => ({
        choice: createChoice(request, prompt, index, seed),
        ticket: undefined,
        isFinished: false
      }))
    )
  }

  /** Queues every choice. */
  start(): void {
    const generation = this
    const { prompts, n } = this.#parts.request
    for (const [index, running] of this.#choices.entries()) {
      running.ticket = this.#deps.scheduler.submit({
        prompt: prompts[Math.floor(index / n)]?.tokens ?? [],
        get held() {
          return generation.#isHeld
        },
        emit: () => this.#emit(running, index)
      })
    }
  }

  /** The client's socket has closed: stops generating, and counts what is generated all the same. */
  leave(): void {
    const { requestId } = this.#parts
    this.#abort = this.#deps.book.abort({ requestId, atMs: this.#deps.clock(), tokensAfter: 0 })
    clearTimeout(this.#resume)
    for (const { ticket } of this.#choices) ticket?.leave()
  }

  /** Ends every choice that is not finished with the finish reason `abort`, as vLLM does when it shuts down. */
  abort(): void {
    if (this.#parts.wire.over) return
    for (const [index, running] of this.#choices.entries()) {
      if (running.isFinished) continue
      this.#parts.answer.take(index, ABORTED)
      this.#deps.onEngineAbort()
    }
    this.#parts.answer.end()
    this.drop()
  }

  /**
   * A real engine goes on and lets its outputs pile up behind a reader that does not keep up; here the sequence waits,
   * so that a reader that stalls on a fast engine costs no memory.
   */
  get #isHeld(): boolean {
    return this.#abort === undefined && (this.#isStalled || this.#parts.wire.full)
  }

  /** Takes every choice out of the engine without another word. */
  drop(): void {
    clearTimeout(this.#resume)
    for (const running of this.#choices) running.ticket?.drop()
  }

  #emit(running: RunningChoice, index: number): Emission {
    if (this.#abort === undefined && this.#meetsFault()) return NOTHING
    const output = running.choice.next()
    this.#tokens += output.tokens
    this.#deps.book.generated(output.tokens, this.#abort)
    if (this.#abort !== undefined) return { tokens: output.tokens, finishReason: null }
    this.#parts.answer.take(index, output)
    running.isFinished = output.finishReason !== null
    if (this.#choices.every(({ isFinished }) => isFinished)) this.#parts.answer.end()
    return { tokens: output.tokens, finishReason: output.finishReason }
  }

  /** True when a fault takes this step away. */
  #meetsFault(): boolean {
    for (let fault = this.#faults[0]; fault !== undefined; fault = this.#faults[0]) {
      if (fault.afterTokens > this.#tokens) return false
      this.#faults = this.#faults.slice(1)
      if (this.#trip(fault)) return true
    }
    return false
  }

  #trip(fault: StreamFault): boolean {
    const { answer, wire } = this.#parts
    if (fault.kind === 'stall') {
      this.#stall(fault.ms)
      return true
    }
    if (fault.kind === 'malformed') {
      if (!answer.spoil()) return false
    } else if (fault.kind === 'abort') {
      this.abort()
    } else if (fault.kind === 'reset') {
      wire.reset()
    } else if (fault.kind === 'error-frame') {
      answer.fail()
    } else if (fault.kind === 'truncate') {
      answer.truncate()
    } else {
      answer.endUnfinished()
    }
    this.drop()
    return true
  }

  #stall(ms: number | undefined): void {
    this.#isStalled = true
    if (ms === undefined) return
    this.#resume = setTimeout(() => {
      this.#isStalled = false
      this.#deps.scheduler.wake()
    }, ms)
  }
}
