// The engine's open answers: paced, as fast as they go, or idle; and what is known of each when its reader leaves.
import type { Socket } from 'node:net'
import { nowUs } from '../clock.ts'
import { BURST, END, makeTokens, START } from './frames.ts'
import type { Order } from './order.ts'
import { LONGEST_MS, Wheel } from './wheel.ts'

/** What the engine knows of a stream that it was told to log. */
export interface Logged {
  readonly sentAtUs: number[]
  closedAtUs: number | undefined
}

/** One answer on its way. */
export class Answer {
  readonly order: Order
  readonly socket: Socket
  readonly periodMs: number
  readonly logged: Logged | undefined
  sent = 0
  open = true

  constructor(order: Order, socket: Socket) {
    this.order = order
    this.socket = socket
    this.periodMs = Math.round(1000 / order.rate)
    this.logged = order.log ? { sentAtUs: [], closedAtUs: undefined } : undefined
  }
}

/** Spreads the streams' phases evenly, whatever their number is. */
const GOLDEN_RATIO = 0.618_033_988_75

export class Answers {
  readonly open = new Set<Answer>()
  readonly logged = new Map<number, Logged>()
  /** When the last open answer ended. */
  emptiedAtUs = nowUs()
  /** Paced answers that stand still after their first token. */
  #waiting: Answer[] = []
  readonly #wheel = new Wheel<Answer>(performance.now(), (answer) => this.#sendPaced(answer))

  constructor() {
    setInterval(() => this.#wheel.advance(performance.now()), 1)
  }

  /** Begins an answer. A paced one sends its first token and waits for `go`: opening thousands must not fall behind them. */
  start(order: Order, socket: Socket): Answer {
    const answer = new Answer(order, socket)
    const { mode } = order
    if (mode === 'pace' && !(answer.periodMs >= 1 && answer.periodMs <= LONGEST_MS))
      throw new Error(`the engine can't pace ${order.rate} tokens/s`)
    this.open.add(answer)
    if (answer.logged !== undefined) this.logged.set(order.id, answer.logged)
    socket.write(START)
    if (mode === 'fire') this.#fire(answer)
    else this.#send(answer, 1)
    if (mode !== 'pace') return answer
    if (answer.sent >= order.tokens) this.#finish(answer)
    else this.#waiting.push(answer)
    return answer
  }

  /** Sets the paced answers going that wait. */
  go(): void {
    for (const [i, answer] of this.#waiting.entries())
      this.#wheel.add(answer, 1 + Math.floor(((i * GOLDEN_RATIO) % 1) * answer.periodMs))
    this.#waiting = []
  }

  /** The reader left, or the answer is complete. */
  end(answer: Answer): void {
    if (!answer.open) return
    answer.open = false
    this.open.delete(answer)
    if (this.open.size === 0) this.emptiedAtUs = nowUs()
    if (answer.logged !== undefined) answer.logged.closedAtUs = nowUs()
  }

  #send(answer: Answer, count: number): boolean {
    const atUs = nowUs()
    answer.sent += count
    answer.logged?.sentAtUs.push(atUs)
    return answer.socket.write(makeTokens(count, atUs, answer.order.id))
  }

  #finish(answer: Answer): void {
    this.end(answer)
    answer.socket.write(END)
  }

  /** In how many ms the next token is due; 0 for never. */
  #sendPaced(answer: Answer): number {
    if (!answer.open) return 0
    this.#send(answer, 1)
    if (answer.sent < answer.order.tokens) return answer.periodMs
    this.#finish(answer)
    return 0
  }

  #fire(answer: Answer): void {
    if (!answer.open) return
    const room = this.#send(answer, Math.min(BURST, answer.order.tokens - answer.sent))
    if (answer.sent >= answer.order.tokens) this.#finish(answer)
    else if (room) setImmediate(() => this.#fire(answer))
    else answer.socket.once('drain', () => this.#fire(answer))
  }
}
