// One client connection of the load generator: sends a request, finds the stamp in each token of the answer.
import { connect, type Socket } from 'node:net'
import { ID_DIGITS, ID_MODULUS, nowUs, STAMP_DIGITS, STAMP_MARK } from '../clock.ts'
import { type Order, writeOrder } from '../engine/order.ts'
import { ResponseReader, type ResponseVisitor } from './response-reader.ts'

/** Where requests go, and the headers that they carry there. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly model: string
  readonly headers: Readonly<Record<string, string>>
}

export interface ClientListener {
  onToken(client: Client, stamp: number, atUs: number): void
  /** The answer is complete, and the connection takes another request. */
  onEnd(client: Client): void
  /** The answer broke, or was none; the connection is closed. */
  onLost(client: Client, reason: string): void
}

/** All reads share one buffer: nothing of it is kept. */
const shared = Buffer.allocUnsafeSlow(65_536)
/** A prompt of a usual size around the order. */
const SYSTEM =
  'You are a careful assistant. Answer in short, plain sentences, and say so when you do not know. '.repeat(6)

export class Client implements ResponseVisitor {
  readonly socket: Socket
  readonly #address: Address
  readonly #listener: ClientListener
  readonly #reader = new ResponseReader(this)
  #busy = false
  #status = 0
  #id = 0
  /** Digits of a stamp and its stream's number that have not come yet, and the value of those that have. */
  #digitsLeft = 0
  #value = 0
  #readAtUs = 0
  #excerpt = ''
  sentAtUs = 0

  constructor(address: Address, listener: ClientListener) {
    this.#address = address
    this.#listener = listener
    const { host, port } = address
    this.socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: () => shared, callback: (length, bytes) => this.#read(bytes as Buffer, length) }
    })
    this.socket.on('error', (cause) => this.#lose(cause.message))
    this.socket.on('close', () => this.#lose('the connection was closed in the middle of an answer'))
  }

  send(order: Order): void {
    const messages = [
      { role: 'system', content: SYSTEM },
      { role: 'user', content: writeOrder(order) }
    ]
    const body = JSON.stringify({ model: this.#address.model, messages, stream: true, max_tokens: 1024 })
    let head = `POST /v1/chat/completions HTTP/1.1\r\nhost: ${this.#address.host}:${this.#address.port}\r\n`
    for (const [name, value] of Object.entries(this.#address.headers)) head += `${name}: ${value}\r\n`
    head += `content-type: application/json\r\naccept: text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n`
    this.#id = order.id % ID_MODULUS
    this.#busy = true
    this.#reader.reset()
    this.#digitsLeft = 0
    this.sentAtUs = nowUs()
    this.socket.write(head + body, 'latin1')
  }

  /** Goes away without a word, as a closed tab does. */
  leave(): void {
    this.#busy = false
    this.socket.destroy()
  }

  onStatus(status: number): void {
    this.#status = status
  }

  onPayload(bytes: Buffer, start: number, end: number): void {
    if (this.#status !== 200 && this.#excerpt.length < 300) this.#excerpt += bytes.toString('utf8', start, end)
    let at = start
    while (at < end) {
      if (this.#digitsLeft === 0) {
        at = bytes.indexOf(STAMP_MARK, at) + 1
        if (at === 0 || at > end) return
        this.#digitsLeft = STAMP_DIGITS + ID_DIGITS
        this.#value = 0
      }
      while (at < end && this.#digitsLeft > 0) {
        this.#value = this.#value * 10 + (bytes[at++] as number) - 0x30
        this.#digitsLeft--
      }
      if (this.#digitsLeft === 0) this.#takeToken()
    }
  }

  #takeToken(): void {
    const stamp = Math.floor(this.#value / ID_MODULUS)
    if (this.#value - stamp * ID_MODULUS !== this.#id) throw new Error('a token of another stream came')
    this.#listener.onToken(this, stamp, this.#readAtUs)
  }

  #read(bytes: Buffer, length: number): boolean {
    if (!this.#busy) return true
    this.#readAtUs = nowUs()
    try {
      this.#reader.push(bytes, length)
    } catch (cause) {
      this.#lose(`CORRUPT: ${(cause as Error).message}`)
      return true
    }
    if (this.#reader.done) this.#finish()
    return true
  }

  #finish(): void {
    if (this.#status !== 200) {
      this.#lose(`HTTP ${this.#status}: ${this.#excerpt.replace(/\s+/g, ' ').slice(0, 200)}`)
      return
    }
    this.#busy = false
    this.#listener.onEnd(this)
  }

  #lose(reason: string): void {
    if (!this.#busy) return
    this.#busy = false
    this.socket.destroy()
    this.#listener.onLost(this, reason)
  }
}
