// One answer while it comes: what has arrived, when, and what the gateway told of it.
import { readPiece } from './answer.js'
import { judgeBuffering } from './buffering.js'
import { figuresOf } from './figures.js'

/** What one answer is made of. No text in here is ever taken for markup. */
export class Run {
  #startedMs
  #now
  /** @type {number[]} when each piece of output arrived, in ms from the request on */
  arrivalsMs = []
  text = ''
  reasoning = ''
  /** @type {string | undefined} */
  finishReason
  /** @type {import('./ask.js').Head} */
  head = {}
  /** @type {number | undefined} */
  #tokens
  /** @type {import('./figures.js').GatewayFigures | undefined} */
  #gateway
  #isWhole

  /**
   * @param {() => number} now a monotonic clock in ms
   * @param {boolean} isWhole false: it had begun before this page did, so its beginning was not seen
   */
  constructor(now, isWhole) {
    this.#now = now
    this.#startedMs = now()
    this.#isWhole = isWhole
  }

  /** @param {unknown} chunk */
  take(chunk) {
    const { text, reasoning, finishReason, tokens } = readPiece(chunk)
    this.#tokens = tokens ?? this.#tokens
    this.finishReason = finishReason ?? this.finishReason
    if (text === '' && reasoning === '') return
    this.arrivalsMs.push(this.#now() - this.#startedMs)
    this.text += text
    this.reasoning += reasoning
  }

  /** @param {import('./figures.js').GatewayFigures} figures */
  takeGatewayFigures(figures) {
    this.#gateway = figures
  }

  /** The connection was cut and made again: what came at once afterwards says nothing about the way. */
  wasCut() {
    this.#isWhole = false
  }

  figures() {
    const figures = figuresOf(this.arrivalsMs, this.#tokens)
    return this.#isWhole ? figures : { ...figures, ttftMs: undefined, tokensPerSecond: undefined }
  }

  /** Undefined where the beginning was not seen. */
  judgement() {
    if (!this.#isWhole) return undefined
    return judgeBuffering({ arrivalsMs: this.arrivalsMs, queueMs: this.head.queueMs, gateway: this.#gateway })
  }
}
