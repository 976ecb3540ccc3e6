// Moves an answer that is not streamed: a small one is looked at before it goes, a large one flows through.
import type { Headers, Outcome } from '../call.ts'
import { toUsage } from './answer.ts'
import { type AnswerRelay, engineFailed, engineGaveUp, letBodyGo, type RelayContext } from './answer-relay.ts'

/** An answer up to this size is held until it is whole, so that a broken or aborted one can still be replaced. */
const MAX_HELD_BYTES = 65_536
/** The last bytes of a large answer, where engines put `usage`. */
const TAIL_BYTES = 4_096
/** A `usage` object with at most one level of objects in it, as OpenAI's details are. */
const USAGE = /"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})/

export class WholeRelay implements AnswerRelay {
  readonly #context: RelayContext
  readonly #headers: Headers
  #held: Buffer[] = []
  #bytes = 0
  #tail: Buffer = Buffer.alloc(0)

  constructor(context: RelayContext, headers: Headers) {
    this.#context = context
    this.#headers = headers
  }

  data(chunk: Buffer, start: number, end: number): Outcome | undefined {
    const { sink } = this.#context
    const bytes = chunk.subarray(start, end)
    this.#bytes += bytes.length
    this.#keepTail(bytes)
    if (!sink.headSent) {
      this.#held.push(Buffer.from(bytes))
      if (this.#bytes <= MAX_HELD_BYTES) return undefined
      const length = this.#headers['content-length']
      sink.head(200, { ...this.#head(), ...(length === undefined ? {} : { 'content-length': length }) })
      this.#sendHeld()
    } else if (!sink.write(bytes)) this.#context.pause()
    this.#context.watch.moved(true)
    return undefined
  }

  end(): Outcome {
    const { sink, meter } = this.#context
    const usage = readUsage(this.#tail)
    if (!sink.headSent) {
      if (isAborted(this.#held)) return engineGaveUp(true)
      sink.head(200, { ...this.#head(), 'content-length': String(this.#bytes) })
      this.#sendHeld()
    }
    meter.whole(usage)
    sink.end()
    return { kind: 'complete' }
  }

  lost(cause: Error): Outcome {
    return engineFailed(cause, !this.#context.sink.headSent)
  }

  #head(): Headers {
    return {
      'content-type': this.#headers['content-type'] ?? 'application/json',
      'cache-control': 'no-store',
      'server-timing': this.#context.meter.serverTiming()
    }
  }

  #sendHeld(): void {
    letBodyGo(this.#context.call)
    let writable = true
    for (const bytes of this.#held) writable = this.#context.sink.write(bytes)
    this.#held = []
    if (!writable) this.#context.pause()
  }

  #keepTail(bytes: Buffer): void {
    const all = bytes.length >= TAIL_BYTES ? bytes : Buffer.concat([this.#tail, bytes])
    this.#tail = Buffer.from(all.subarray(-TAIL_BYTES))
  }
}

/** The counts at the end of an answer; undefined where there are none. */
function readUsage(tail: Buffer) {
  const found = USAGE.exec(tail.toString())?.[1]
  try {
    return found === undefined ? undefined : toUsage(JSON.parse(found))
  } catch {
    return undefined
  }
}

/** Whether an engine gave the whole request up: every choice ended with `abort`. */
function isAborted(held: readonly Buffer[]): boolean {
  const body = Buffer.concat(held)
  if (!body.includes('"abort"')) return false
  try {
    const choices: { finish_reason?: unknown }[] = JSON.parse(body.toString()).choices
    return choices.length > 0 && choices.every((choice) => choice.finish_reason === 'abort')
  } catch {
    return false
  }
}
