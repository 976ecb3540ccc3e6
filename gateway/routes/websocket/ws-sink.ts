// A sink over one stream of a WebSocket: each event of the answer becomes a message of its own.
import type { Sink } from '../../call.ts'
import type { GatewayError } from '../../errors.ts'
import { findEventEnd } from '../../stream/sse.ts'
import type { Stream, Wire } from './wire.ts'

/** How one stream's messages look. What is undefined is not sent. */
export interface Framing {
  /** The message of the event that stands in `run` from `start` to `end`; it must not keep `run`, which is only lent. */
  event(run: Buffer, start: number, end: number): Buffer | undefined
  /** After the last event of an answer that is whole. */
  done(): Buffer | undefined
  /** In place of the rest of an answer that is not. */
  failed(error: GatewayError): Buffer
}

/** The relay writes whole events only, so a write never holds the beginning of one. */
export class WsSink implements Sink, Stream {
  readonly #wire: Wire
  readonly #framing: Framing
  readonly #onOver: () => void
  #over = false
  #headSent = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined

  /** @param onOver called once when the stream has ended, unless its connection has */
  constructor(wire: Wire, framing: Framing, onOver: () => void) {
    this.#wire = wire
    this.#framing = framing
    this.#onOver = onOver
    wire.attach(this)
  }

  get gone(): boolean {
    return this.#over || !this.#wire.open
  }

  get headSent(): boolean {
    return this.#headSent
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  /** A message has no head; what it would say is in the messages. */
  head(): void {
    this.#headSent = true
  }

  write(bytes: Buffer): boolean {
    if (this.gone) return true
    this.#wire.cork()
    let start = 0
    for (let end = findEventEnd(bytes, 0); end !== -1; end = findEventEnd(bytes, start)) {
      const message = this.#framing.event(bytes, start, end)
      if (message !== undefined) this.#wire.send(message)
      start = end
    }
    this.#wire.uncork()
    return !this.#wire.full
  }

  flush(): void {}

  end(): void {
    if (!this.gone) this.#finish(this.#framing.done())
  }

  fail(error: GatewayError): void {
    if (this.gone) return
    // whoever does not read this stream does not read the others, and would not read the error
    if (error.code === 'slow_reader') this.#wire.cut()
    else this.#finish(this.#framing.failed(error))
  }

  /** The client wants no more of it: the engine is freed at once. */
  cancel(): void {
    if (this.gone) return
    this.#end()
    this.#onGone?.()
    this.#onOver()
  }

  drained(): void {
    if (!this.#over) this.#onDrain?.()
  }

  left(): void {
    if (this.#over) return
    this.#end()
    this.#onGone?.()
  }

  #finish(last: Buffer | undefined): void {
    this.#end()
    if (last !== undefined) this.#wire.send(last)
    this.#onOver()
  }

  #end(): void {
    this.#over = true
    this.#wire.detach(this)
  }
}
