// Requests of one token each on connections that are kept: in a closed loop, or paced as probes for the time to first token.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Order } from '../engine/order.ts'
import { type Address, Client, type ClientListener } from './client.ts'
import type { Recorder } from './recorder.ts'

const ONE_TOKEN: Order = { mode: 'pace', rate: 20, tokens: 1, id: 0, log: false }
/** A probe that takes longer has failed. */
const PROBE_MS = 10_000

export class Requests implements ClientListener {
  readonly #recorder: Recorder
  readonly #clients = new Set<Client>()
  readonly #idle: Client[] = []
  #ttftsUs: number[] = []
  #looping = false
  broken: string | undefined

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  onToken(client: Client, _stamp: number, atUs: number): void {
    if (!this.#looping) this.#ttftsUs.push(atUs - client.sentAtUs)
  }

  onEnd(client: Client): void {
    if (!this.#looping) {
      this.#idle.push(client)
      return
    }
    this.#recorder.request()
    client.send(ONE_TOKEN)
  }

  onLost(client: Client, reason: string): void {
    this.broken ??= reason
    this.#clients.delete(client)
  }

  #connect(address: Address): Client {
    const client = new Client(address, this)
    this.#clients.add(client)
    client.socket.on('close', () => {
      this.#clients.delete(client)
      const at = this.#idle.indexOf(client)
      if (at !== -1) this.#idle.splice(at, 1)
    })
    return client
  }

  /** Keeps one request under way on each of `connections` until `close`. */
  loop(address: Address, connections: number): void {
    this.#looping = true
    for (let i = 0; i < connections; i++) this.#connect(address).send(ONE_TOKEN)
  }

  /** Sends `count` requests, one every `everyMs`; the times to the first token in ms, sorted. */
  async probe(address: Address, count: number, everyMs: number): Promise<number[]> {
    this.#ttftsUs = []
    const startMs = performance.now()
    for (let i = 0; i < count && this.broken === undefined; i++) {
      const client = this.#idle.pop() ?? this.#connect(address)
      client.send(ONE_TOKEN)
      await sleep(Math.max(0, startMs + (i + 1) * everyMs - performance.now()))
    }
    const until = performance.now() + PROBE_MS
    while (this.#ttftsUs.length < count && this.broken === undefined && performance.now() < until) await sleep(5)
    if (this.broken !== undefined) throw new Error(this.broken)
    if (this.#ttftsUs.length < count)
      throw new Error(`${count - this.#ttftsUs.length} of ${count} requests had no answer`)
    return this.#ttftsUs.map((us) => us / 1000).sort((a, b) => a - b)
  }

  close(): void {
    for (const client of this.#clients) client.leave()
    this.#clients.clear()
    this.#idle.length = 0
    this.#looping = false
    this.broken = undefined
  }
}
