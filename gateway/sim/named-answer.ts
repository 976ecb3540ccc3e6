// An answer of the Responses or the Messages API on its way out: events with names, and no `[DONE]`.
import type { Answer } from './answer.ts'
import { countUsage, type Usage, type WholeChoice } from './frames.ts'
import type { Output } from './output.ts'
import type { GenerationRequest } from './request.ts'
import type { Wire } from './wire.ts'

/** An event's data; its type is its name, too. */
export interface NamedEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** Writes one answer of an API whose events have names. */
export interface NamedFrames {
  /** What goes out at once, before the prompt is read. */
  opening(): NamedEvent[]
  /** What comes before the first output. */
  start(): NamedEvent[]
  delta(text: string): NamedEvent
  closing(choice: WholeChoice, usage: Usage): NamedEvent[]
  failure(message: string): NamedEvent[]
  whole(choices: readonly WholeChoice[], usage: Usage): object
}

export interface NamedAnswerParts {
  readonly request: GenerationRequest
  readonly frames: NamedFrames
  readonly wire: Wire
}

const ENGINE_ERROR = 'Internal server error'

/** One event a token, and the opening at once. */
class NamedStreamAnswer implements Answer {
  readonly #parts: NamedAnswerParts
  readonly #promptTokens: number
  #text = ''
  #tokens = 0
  #isStarted = false
  #ended: Pick<WholeChoice, 'finishReason' | 'stopReason'> = { finishReason: 'stop', stopReason: null }

  constructor(parts: NamedAnswerParts) {
    this.#parts = parts
    this.#promptTokens = parts.request.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0)
  }

  open(): void {
    this.#send(this.#parts.frames.opening())
  }

  take(_index: number, output: Output): void {
    if (output.tokens > 0) this.#start()
    if (output.text !== '') this.#send([this.#parts.frames.delta(output.text)])
    this.#text += output.text
    this.#tokens += output.tokens
    if (output.finishReason !== null) this.#ended = { finishReason: output.finishReason, stopReason: output.stopReason }
  }

  end(): void {
    const choice = { text: this.#text, scored: undefined, ...this.#ended }
    this.#send(this.#parts.frames.closing(choice, countUsage(this.#promptTokens, this.#tokens)))
    this.#parts.wire.end()
  }

  fail(): void {
    this.#send(this.#parts.frames.failure(ENGINE_ERROR))
    this.#parts.wire.end()
  }

  spoil(): boolean {
    const { type } = this.#parts.frames.delta('')
    this.#parts.wire.write(`event: ${type}\ndata: {"type":"${type}","delta":" an event that is cut\n\n`)
    return false
  }

  truncate(): void {
    this.#parts.wire.end()
  }

  endUnfinished(): void {
    this.#start()
    this.#parts.wire.end()
  }

  #start(): void {
    if (!this.#isStarted) this.#send(this.#parts.frames.start())
    this.#isStarted = true
  }

  #send(events: readonly NamedEvent[]): void {
    for (const event of events) this.#parts.wire.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}

export const createNamedStreamAnswer = (parts: NamedAnswerParts): Answer => new NamedStreamAnswer(parts)
