// The load generator's open streams: opened a few at a time, read, stalled, and left.
import { nowUs } from '../clock.ts'
import type { Leaver } from '../engine/main.ts'
import type { Mode, Order } from '../engine/order.ts'
import { type Address, Client, type ClientListener } from './client.ts'
import type { Recorder } from './recorder.ts'

export interface OpenOptions {
  readonly count: number
  readonly mode: Mode
  readonly rate: number
  readonly tokens: number
  readonly log: boolean
  /** How long all of them may take to get their first token. */
  readonly timeoutMs: number
}

/** So many streams wait for their first token at once: below the backlogs of all proxies. */
const OPENING = 64

export class Streams implements ClientListener {
  readonly #recorder: Recorder
  readonly #ids = new Map<Client, number>()
  readonly #waiting = new Set<Client>()
  #onFirst: () => void = () => {}
  #lastId = 0
  /** Why the first stream that broke did. */
  broken: string | undefined

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  onToken(client: Client, stamp: number, atUs: number): void {
    this.#recorder.token(stamp, atUs)
    if (this.#waiting.size > 0 && this.#waiting.delete(client)) this.#onFirst()
  }

  onEnd(client: Client): void {
    this.#recorder.request()
    this.#forget(client)
    client.leave()
  }

  onLost(client: Client, reason: string): void {
    this.broken ??= reason
    this.#forget(client)
  }

  #forget(client: Client): void {
    this.#ids.delete(client)
    if (this.#waiting.delete(client)) this.#onFirst()
  }

  /** Opens streams; resolves when each has its first token, rejects when one breaks or time is up. */
  open(address: Address, options: OpenOptions): Promise<void> {
    const { count, timeoutMs } = options
    return new Promise((resolve, reject) => {
      let opened = 0
      const timer = setTimeout(() => {
        this.broken ??= `${opened - this.#waiting.size} of ${count} streams had a first token after ${timeoutMs / 1000} s`
        step()
      }, timeoutMs)
      const step = () => {
        if (this.broken === undefined && opened - this.#waiting.size < count) {
          for (; opened < count && this.#waiting.size < OPENING; opened++) this.#start(address, options)
          return
        }
        clearTimeout(timer)
        this.#onFirst = () => {}
        if (this.broken === undefined) resolve()
        else reject(new Error(this.broken))
      }
      this.#onFirst = step
      step()
    })
  }

  #start(address: Address, { mode, rate, tokens, log }: OpenOptions): void {
    const client = new Client(address, this)
    const order: Order = { mode, rate, tokens, id: ++this.#lastId, log }
    this.#ids.set(client, order.id)
    this.#waiting.add(client)
    client.send(order)
  }

  /** Lets `count` streams go, one every `everyMs`. */
  async leave(count: number, everyMs: number): Promise<Leaver[]> {
    const leavers: Leaver[] = []
    for (const [client, id] of [...this.#ids].slice(0, count)) {
      leavers.push({ id, leftAtUs: nowUs() })
      this.#ids.delete(client)
      client.leave()
      await new Promise((done) => setTimeout(done, everyMs))
    }
    return leavers
  }

  /** Lets all streams go at once; returns when the first one went. */
  leaveAll(): number {
    const atUs = nowUs()
    for (const client of this.#ids.keys()) client.leave()
    this.#ids.clear()
    this.#waiting.clear()
    this.broken = undefined
    return atUs
  }

  /** Stops reading from all streams. */
  stall(): void {
    for (const client of this.#ids.keys()) client.socket.pause()
  }
}
