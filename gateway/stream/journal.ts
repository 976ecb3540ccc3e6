// A journal is a sink that keeps an answer's events under numbers, so that readers may come, leave and come back.
import type { Call, Headers, Sink } from '../call.ts'
import type { Api } from '../engine-routes.ts'
import { ERROR_SHAPES } from '../error-shapes.ts'
import type { GatewayError } from '../errors.ts'
import { letBodyGo } from './answer-relay.ts'
import type { EventLog } from './event-log.ts'
import { dataOf, findEventEnd, withEventId } from './sse.ts'

/** How a journal's answer stands. */
export type JournalState = 'running' | 'complete' | 'failed' | 'cancelled'

const COLON = 0x3a
const NOTHING = Buffer.alloc(0)
const TIMING = Buffer.from(': sluice ')

/**
 * The reader that an exchange writes to. It never pauses the engine, for no single reader decides how fast an answer
 * comes; what keeps its memory small are the log's bounds. Comments are dropped: they have no number that a reader could
 * come back for, and each reader has heartbeats of its own.
 */
export class Journal implements Sink {
  readonly id: string
  readonly call: Call
  readonly log: EventLog
  #state: JournalState = 'running'
  /** The head of the answer, once there is one: readers that began with the request send it on. */
  #head: Headers | undefined
  #refusal: GatewayError | undefined
  #onGone: (() => void) | undefined
  /** The figures of the stream, a line in the event after them. */
  #comment: Buffer = NOTHING

  constructor(id: string, call: Call, log: EventLog) {
    this.id = id
    this.call = call
    this.log = log
  }

  /** The API key that began it, and whose shapes its events have. */
  get owner(): { readonly keyId: string; readonly api: Api } {
    return { keyId: this.call.principal.keyId, api: this.call.api }
  }

  get state(): JournalState {
    return this.#state
  }

  get headers(): Headers | undefined {
    return this.#head
  }

  /** Why the request was refused before an answer began. */
  get refusal(): GatewayError | undefined {
    return this.#refusal
  }

  get gone(): boolean {
    return this.#state !== 'running'
  }

  get headSent(): boolean {
    return this.#head !== undefined
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  onDrain(): void {}

  head(_status: number, headers: Headers): void {
    this.#head = headers
    this.log.touch()
  }

  write(bytes: Buffer): boolean {
    if (this.gone) return true
    for (let start = 0; start < bytes.length; ) {
      const found = findEventEnd(bytes, start)
      const end = found === -1 ? bytes.length : found
      this.#keep(bytes, start, end)
      start = end
    }
    return true
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    // a comment may stand in front of data, too: that is an event
    if (bytes[start] === COLON && dataOf(bytes, start, end) === undefined) {
      if (bytes.indexOf(TIMING, start) === start) this.#comment = Buffer.from(bytes.subarray(start, end - 1))
      return
    }
    const number = this.log.last + 1
    this.log.append(number, this.#comment, ...withEventId(bytes, start, end, number))
    this.#comment = NOTHING
  }

  flush(): void {
    this.log.announce()
  }

  end(): void {
    if (!this.gone) this.#close('complete')
  }

  fail(error: GatewayError, sequence: number): void {
    if (!this.gone) this.#closeWith(error, sequence, 'failed')
  }

  /** Ends the answer for its readers, then closes the engine. */
  cancel(error: GatewayError): void {
    if (this.gone) return
    this.#closeWith(error, this.log.last, 'cancelled')
    this.#onGone?.()
  }

  #closeWith(error: GatewayError, sequence: number, state: JournalState): void {
    if (!this.headSent) this.#refusal = error
    this.write(errorEvents(this.call.api, error, sequence))
    this.#close(state)
  }

  #close(state: JournalState): void {
    this.#state = state
    // a refused request still has its body, and the journal may stay for long
    letBodyGo(this.call)
    this.log.end()
  }
}

/** What a stream ends with when it fails after `sequence` events. */
function errorEvents(api: Api, error: GatewayError, sequence: number): Buffer {
  return Buffer.from(ERROR_SHAPES[api].event(error, sequence))
}

/** The same as one event of a journal, `number`. */
export function errorEvent(api: Api, error: GatewayError, number: number): Buffer {
  const events = errorEvents(api, error, number - 1)
  return Buffer.concat(withEventId(events, 0, events.length, number))
}
