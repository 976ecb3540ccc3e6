// Moves an event stream: whole events only, in the tick in which they came, and nothing before the answer has begun.
import type { Outcome } from '../call.ts'
import { type AnswerRelay, engineFailed, engineGaveUp, letBodyGo, type RelayContext } from './answer-relay.ts'
import { createReader } from './readers.ts'
import { mapEngineError } from './refusal.ts'
import { EventCutter, type EventVisitor, findEventEnd, SSE_HEADERS, skipMark } from './sse.ts'
import type { EventKind, StreamReader } from './stream-reader.ts'

/**
 * Until the first output event nothing is sent, so that an engine that gives up before it can be replaced by another:
 * vLLM announces a shutdown with a role chunk and `finish_reason: "abort"`.
 */
export class EventRelay implements AnswerRelay, EventVisitor {
  // what a token touches stands first
  /** The answer is under way, no event is half here, and chunks go on as they are: a glance may do for the next one. */
  #glances = false
  readonly #reader: StreamReader
  /** Whole chunks of one read that go as they came, from and to: neighbouring chunks leave in one write. */
  #frames: Buffer | undefined
  #framesFrom = 0
  #framesTo = 0
  readonly #context: RelayContext
  readonly #cutter: EventCutter
  /** Events that wait for the answer to begin: a role chunk a choice, or what another API has in its place. */
  #early: Buffer[] | undefined
  #earlyBytes = 0
  /** No event has come yet. */
  #isFirst = true
  #begun = false
  #hasOutput = false
  /** More than comments has come since the last write. */
  #progress = false
  #done = false
  #outcome: Outcome | undefined
  /** What of the current payload goes to the reader, from and to: neighbouring events leave in one write. */
  #run: Buffer | undefined
  #from = 0
  #to = 0

  constructor(context: RelayContext) {
    this.#context = context
    this.#reader = createReader(context.call)
    this.#cutter = new EventCutter(this.#reader.maxEventBytes)
  }

  data(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): Outcome | undefined {
    const oneGlance =
      this.#glances &&
      frameStart !== -1 &&
      findEventEnd(bytes, start, end) === end &&
      this.#reader.glance(bytes, start, end)
    if (!oneGlance) return this.#look(bytes, start, end, frameStart, frameEnd)
    this.#keepFrames(bytes, frameStart, frameEnd)
    return undefined
  }

  /** Takes a payload apart, and sends what of it the reader gets: a chunk of which that is all goes as it came. */
  #look(bytes: Buffer, start: number, end: number, frameStart: number, frameEnd: number): Outcome | undefined {
    if (this.#done) return undefined
    if (!this.#cutter.push(bytes, this, start, end))
      this.#outcome = this.#failed(`the engine sent an event larger than ${this.#reader.maxEventBytes / 1_048_576} MiB`)
    const untouched = this.#run === bytes && this.#from === start && this.#to === end
    const takesFrames = this.#context.sink.writeFrames !== undefined
    if (frameStart !== -1 && untouched && takesFrames) {
      this.#run = undefined
      this.#moved()
      this.#keepFrames(bytes, frameStart, frameEnd)
    } else this.#send()
    this.#glances = this.#hasOutput && this.#begun && !this.#done && this.#cutter.heldBytes === 0 && takesFrames
    if (this.#outcome !== undefined) this.flush()
    else if (this.#done) this.#finish()
    return this.#outcome
  }

  /** Chunks that the reader gets to the byte are gathered until the read ends. */
  #keepFrames(bytes: Buffer, start: number, end: number): void {
    if (this.#frames !== bytes || this.#framesTo !== start) {
      // a chunk between them is not for the reader: both leave together when the read ends
      if (this.#frames !== undefined) this.#context.sink.hold?.()
      this.flush()
      this.#frames = bytes
      this.#framesFrom = start
    }
    this.#framesTo = end
  }

  flush(): void {
    const frames = this.#frames
    if (frames === undefined) return
    this.#frames = undefined
    const { sink } = this.#context
    if (sink.writeFrames?.(frames.subarray(this.#framesFrom, this.#framesTo)) === false && !this.#done)
      this.#context.pause()
  }

  onEvent(run: Buffer, from: number, end: number): boolean {
    const start = this.#isFirst ? skipMark(run, from) : from
    this.#isFirst = false
    const kind = this.#reader.read(run, start, end)
    this.#outcome = this.#judge(kind)
    if (this.#outcome !== undefined) return false
    if (!this.#hasOutput && this.#reader.outputEvents > 0) {
      this.#hasOutput = true
      this.#context.meter.firstToken()
    }
    if (kind === 'done') this.#done = true
    if (kind !== 'comment') this.#progress = true
    if (kind === 'usage' && this.#context.call.hidesUsage) return true
    if (!this.#begun && !this.#begin(kind, run, start, end)) return true
    if (kind === 'done') this.#writeTiming()
    this.#pass(run, start, end)
    return !this.#done
  }

  /** How an event ends the attempt, or undefined where the stream goes on. */
  #judge(kind: EventKind): Outcome | undefined {
    if (kind === 'output' || kind === 'empty' || kind === 'comment') return undefined
    if (kind === 'malformed') return this.#failed('the engine sent an event that is not JSON')
    if (kind === 'error') return this.#blame(this.#reader)
    if (kind === 'done' && !this.#reader.finished) {
      return this.#failed('the engine sent its last event without a reason to finish for each choice')
    }
    if (kind === 'finish' && this.#reader.finishReason === 'abort') return engineGaveUp(!this.#begun)
    if (kind === 'finish' && this.#reader.finishReason === 'error') return this.#failed('finish_reason is "error"')
    return undefined
  }

  /** Holds role chunks and their like back and drops comments until something begins the answer: then true. */
  #begin(kind: EventKind, run: Buffer, start: number, end: number): boolean {
    if (kind === 'comment') return false
    if (
      kind === 'empty' &&
      (this.#early?.length ?? 0) < this.#reader.maxEarlyEvents &&
      this.#earlyBytes + end - start <= this.#reader.maxEarlyBytes
    ) {
      this.#early ??= []
      this.#early.push(Buffer.from(run.subarray(start, end)))
      this.#earlyBytes += end - start
      return false
    }
    const { call, sink, watch, meter } = this.#context
    this.#begun = true
    meter.follow(this.#reader)
    watch.follow(this.#reader)
    letBodyGo(call)
    watch.enter('streaming')
    if (!sink.headSent) sink.head(200, { ...SSE_HEADERS, 'server-timing': meter.serverTiming() })
    for (const event of this.#early ?? []) this.#write(event)
    this.#early = undefined
    return true
  }

  #pass(run: Buffer, start: number, end: number): void {
    if (this.#run !== run || this.#to !== start) {
      this.#send()
      this.#run = run
      this.#from = start
    }
    this.#to = end
  }

  /** The last comment stands before the last event, after which most clients read no further. */
  #writeTiming(): void {
    const { call, meter } = this.#context
    meter.lastToken()
    if (!call.wantsTiming) return
    this.#send()
    this.#write(Buffer.from(meter.timingComment()))
  }

  #send(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    this.#write(this.#from === 0 && this.#to === run.length ? run : run.subarray(this.#from, this.#to))
  }

  #write(bytes: Buffer): void {
    this.flush()
    this.#moved()
    if (!this.#context.sink.write(bytes) && !this.#done) this.#context.pause()
  }

  /**
   * In a stream vLLM says 400 of every exception that it did not expect, so an error frame's status says only whether the
   * engine is to blame. Its words may quote a prompt: they are neither for the reader nor for the log.
   */
  #blame({ errorStatus }: StreamReader): Outcome {
    const outcome = mapEngineError(errorStatus, '', !this.#begun)
    if (outcome.kind === 'error' && outcome.error.code !== 'engine_refused') return outcome
    return {
      ...this.#failed(`the engine sent an error frame: ${errorStatus}`),
      engineFault: false,
      retryable: false
    } as Outcome
  }

  /** A comment keeps the reader's path open, but it is no sign that the engine still works. */
  #moved(): void {
    this.#context.watch.moved(this.#progress)
    this.#progress = false
  }

  #failed(cause: string | Error): Outcome {
    return engineFailed(cause, !this.#begun)
  }

  /** The answer is whole: whatever happens to the engine's connection now changes nothing. */
  get done(): boolean {
    return this.#done && this.#outcome === undefined
  }

  /** The reader's stream ends with the last event; the engine's is read to its end, so that its connection can be used again. */
  #finish(): void {
    const { sink } = this.#context
    // the last events and the end of the response leave together
    sink.hold?.()
    this.flush()
    sink.end()
    this.#context.resume()
    this.#context.watch.enter('ending')
  }

  end(): Outcome {
    if (this.#done) return { kind: 'complete' }
    if (!this.#reader.finished) return this.#failed('the engine ended its stream in the middle of an answer')
    this.#writeTiming()
    this.#write(this.#reader.lastEvent)
    this.#finish()
    return { kind: 'complete' }
  }

  lost(cause: Error): Outcome {
    return this.#done ? { kind: 'complete' } : this.#failed(cause)
  }
}
