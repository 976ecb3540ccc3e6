// Moves an answer that is not streamed: a small one is looked at before it goes, a large one flows through.
import type { Headers, Outcome } from '../call.ts'
import { type AnswerRelay, engineFailed, engineGaveUp, letBodyGo, type RelayContext } from './answer-relay.ts'
import { JsonEnd } from './json-end.ts'
import { readEnding } from './readers.ts'
import { toUsage, type Usage } from './usage.ts'

/** An answer up to this size is held until it is whole, so that a broken or aborted one can still be replaced. */
const MAX_HELD_BYTES = 65_536
/** The last bytes of a large answer, where most routes put `usage`. */
const TAIL_BYTES = 4_096
/** The first bytes, where rerank has it. */
const FRONT_BYTES = 1_024
/** A `usage` object with at most one level of objects in it, as OpenAI's details are. */
const USAGE = /"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})/

export class WholeRelay implements AnswerRelay {
  readonly #context: RelayContext
  readonly #headers: Headers
  /** Watched where nothing else tells a whole answer from one that is cut. */
  readonly #jsonEnd: JsonEnd | undefined
  #held: Buffer[] = []
  #bytes = 0
  #tail: Buffer = Buffer.alloc(0)
  #front: Buffer = this.#tail

  constructor(context: RelayContext, headers: Headers) {
    this.#context = context
    this.#headers = headers
    this.#jsonEnd = mayBeCut(headers) ? new JsonEnd() : undefined
  }

  data(chunk: Buffer, start: number, end: number): Outcome | undefined {
    const { sink } = this.#context
    const bytes = chunk.subarray(start, end)
    this.#bytes += bytes.length
    this.#keepEnds(bytes)
    this.#jsonEnd?.push(bytes)
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
    const { call, sink, meter } = this.#context
    if (this.#jsonEnd?.isReached === false)
      return engineFailed('the engine closed its connection within its answer', !sink.headSent)
    const usage = readUsage(this.#tail) ?? readUsage(this.#front)
    if (!sink.headSent) {
      const ending = readEnding(call, Buffer.concat(this.#held))
      if (ending === 'abort') return engineGaveUp(true)
      if (ending === 'error') return engineFailed('the engine says of its own answer that it failed', true)
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

  #keepEnds(bytes: Buffer): void {
    if (this.#front.length < FRONT_BYTES)
      this.#front = Buffer.concat([this.#front, bytes.subarray(0, FRONT_BYTES - this.#front.length)])
    const all = bytes.length >= TAIL_BYTES ? bytes : Buffer.concat([this.#tail, bytes])
    this.#tail = Buffer.from(all.subarray(-TAIL_BYTES))
  }
}

/** Nothing but the end of the connection says where such an answer ends, and a torn connection ends, too. */
function mayBeCut({
  'content-length': length,
  'transfer-encoding': coding,
  'content-type': type = ''
}: Headers): boolean {
  return length === undefined && coding === undefined && /^application\/json/i.test(type)
}

/** The counts in a piece of an answer; undefined where there are none. */
function readUsage(piece: Buffer): Usage | undefined {
  const found = USAGE.exec(piece.toString())?.[1]
  try {
    return found === undefined ? undefined : toUsage(JSON.parse(found))
  } catch {
    return undefined
  }
}
