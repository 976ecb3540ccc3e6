// Measures one request: waiting, time to first token, inter-token latency, tokens; told at its end as one record.
import type { Call, Outcome, RequestRecord } from '../call.ts'
import type { StreamReader } from './stream-reader.ts'
import type { Usage } from './usage.ts'

/** As `toFixed(1)` writes a number that is not negative, and quicker. */
function toTenths(value: number): string {
  const tenths = Math.round(value * 10)
  const whole = Math.floor(tenths / 10)
  return `${whole}.${tenths - whole * 10}`
}

export class Meter {
  readonly #call: Call
  readonly #now: () => number
  #admittedAtMs: number | undefined
  #firstTokenAtMs: number | undefined
  #lastTokenAtMs: number | undefined
  #reader: StreamReader | undefined
  #usage: Usage | undefined
  #endpoint: string | undefined
  #attempts = 0
  #attemptedAtMs = 0
  #connectedAtMs: number | undefined

  /** @param now a monotonic clock in ms, the one that `call.acceptedAtMs` was read from */
  constructor(call: Call, now: () => number) {
    this.#call = call
    this.#now = now
  }

  /** The wait goes on: every engine that was asked is full. */
  queued(): void {
    this.#admittedAtMs = undefined
  }

  /** An engine became free: the wait is over. */
  admitted(): void {
    this.#admittedAtMs = this.#now()
  }

  /** One more engine is asked. */
  attempt(endpoint: string): void {
    this.#endpoint = endpoint
    this.#attemptedAtMs = this.#now()
    this.#connectedAtMs = undefined
    this.#attempts++
    this.#reader = undefined
  }

  /** The engine has a connection, and gets the request. */
  connected(): void {
    this.#connectedAtMs = this.#now()
  }

  /** What is known when the head goes out, as a `Server-Timing` value: the wait for an engine and for its connection. */
  serverTiming(): string {
    const queueMs = (this.#admittedAtMs ?? this.#call.acceptedAtMs) - this.#call.acceptedAtMs
    const connectMs = (this.#connectedAtMs ?? this.#attemptedAtMs) - this.#attemptedAtMs
    return `queue;dur=${toTenths(queueMs)}, connect;dur=${toTenths(connectMs)}`
  }

  /** The figures of a stream that is whole, as an SSE comment. */
  timingComment(): string {
    const { ttftMs, outputTokens, interTokenMs } = this.finish({ kind: 'complete' })
    const rate = interTokenMs === undefined || interTokenMs === 0 ? 0 : (1000 / interTokenMs) * this.#call.choices
    return `: sluice ttft_ms=${(ttftMs ?? 0).toFixed(1)} tokens=${outputTokens} tokens_per_second=${rate.toFixed(1)}\n\n`
  }

  /** How many events of the answer have gone to the reader, where its API numbers them; else 0. */
  get events(): number {
    return this.#reader?.events ?? 0
  }

  /** Counts what `reader` reads: the streamed answer of the newest attempt, once it has begun. */
  follow(reader: StreamReader): void {
    this.#reader = reader
  }

  /** The first output is on its way to the reader. */
  firstToken(): void {
    this.#firstTokenAtMs ??= this.#now()
  }

  /** The last output has gone. */
  lastToken(): void {
    this.#lastTokenAtMs ??= this.#now()
  }

  /** An answer that is not streamed came with these counts. */
  whole(usage: Usage | undefined): void {
    this.#usage = usage
  }

  finish(outcome: Outcome): RequestRecord {
    const now = this.#now()
    const since = this.#call.acceptedAtMs
    const usage = this.#usage ?? this.#reader?.usage
    const outputTokens = usage?.completionTokens ?? this.#reader?.outputEvents ?? 0
    const firstMs = this.#firstTokenAtMs
    const gaps = outputTokens / this.#call.choices - 1
    return {
      call: this.#call,
      outcome,
      endpoint: this.#endpoint,
      attempts: this.#attempts,
      queuedMs: (this.#admittedAtMs ?? now) - since,
      ttftMs: firstMs === undefined ? undefined : firstMs - since,
      interTokenMs: firstMs === undefined || gaps < 1 ? undefined : ((this.#lastTokenAtMs ?? now) - firstMs) / gaps,
      durationMs: now - since,
      promptTokens: usage?.promptTokens,
      outputTokens
    }
  }
}
