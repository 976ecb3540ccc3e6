// The conversation: one answer at a time, asked, followed, stopped, and picked up again after a reload.
import { describeEnding } from './answer.js'
import { createBody } from './ask.js'
import { toFailure } from './failure.js'
import { announce, find } from './page.js'
import { describeRun, Panel } from './panel.js'
import { Run } from './run.js'
import { forgetStream, readStoredStream, storeStream } from './stored-stream.js'
import { streamByEventSource, watchStream } from './transport-event-source.js'
import { streamBySse } from './transport-sse.js'
import { streamByWebSocket } from './transport-websocket.js'
import { createTurn } from './turn.js'

/** @typedef {import('./ask.js').Message} Message */
/** @typedef {import('./snippets.js').TransportName} TransportName */

/** @type {Readonly<Record<TransportName, { name: string, stream: import('./ask.js').Transport }>>} */
const TRANSPORTS = {
  sse: { name: 'SSE', stream: streamBySse },
  websocket: { name: 'WebSocket', stream: streamByWebSocket },
  'event-source': { name: 'EventSource', stream: streamByEventSource }
}

/** What a request asks before anybody has. @type {readonly Message[]} */
const FIRST = [{ role: 'user', content: 'Hello' }]

/** Figures and plot are drawn so often; text is drawn in every frame. */
const PANEL_EVERY_MS = 100

/** One answer at a time, and what was said before. */
export class Conversation {
  #base
  #settings
  #onState
  #panel = new Panel()
  /** @type {readonly Message[]} */
  #messages = []
  /** @type {readonly Message[]} */
  #lastAsked = FIRST
  /** @type {AbortController | undefined} */
  #controller

  /**
   * @param {string} base where the gateway is
   * @param {import('./settings.js').Settings} settings
   * @param {(isRunning: boolean) => void} onState
   */
  constructor(base, settings, onState) {
    this.#base = base
    this.#settings = settings
    this.#onState = onState
  }

  get isRunning() {
    return this.#controller !== undefined
  }

  get isEmpty() {
    return find('#turns', HTMLElement).childElementCount === 0
  }

  /**
   * The messages of the next request, or without a question those of the last one.
   *
   * @param {string} question
   * @returns {readonly Message[]}
   */
  messagesWith(question) {
    return question === '' ? this.#lastAsked : [...this.#messages, { role: 'user', content: question }]
  }

  /** @param {string} question */
  ask(question) {
    const settings = this.#settings
    const asked = this.messagesWith(question)
    const model = settings.model() ?? ''
    const { name, stream } = TRANSPORTS[settings.transport()]
    const ask = { base: this.#base, key: settings.key(), body: createBody(model, asked, settings.limit()) }
    void this.#answer({ asked, model, name, isWhole: true }, (on, signal) => stream(ask, on, signal))
  }

  /** Picks up the stream that this tab was reading when it was reloaded; false: there was none. */
  resume() {
    const stored = readStoredStream()
    if (stored === undefined) return false
    const { url, model, messages: asked } = stored
    const name = `${TRANSPORTS['event-source'].name}, resumed`
    void this.#answer({ asked, model, name, isWhole: false }, (on, signal) => watchStream(url, on, signal))
    return true
  }

  stop() {
    this.#controller?.abort()
  }

  clear() {
    this.#messages = []
    this.#lastAsked = FIRST
    find('#turns', HTMLElement).replaceChildren()
    this.#onState(false)
  }

  /**
   * @param {{ asked: readonly Message[], model: string, name: string, isWhole: boolean }} about
   * @param {(on: import('./ask.js').Listeners, signal: AbortSignal) => Promise<void>} stream
   */
  async #answer({ asked, model, name, isWhole }, stream) {
    this.#controller = new AbortController()
    const { signal } = this.#controller
    const run = new Run(() => performance.now(), isWhole)
    const turn = createTurn(asked.at(-1)?.content ?? '', model)
    const stopDrawing = draw(run, turn, this.#panel)
    this.#lastAsked = asked
    this.#panel.clear()
    this.#onState(true)
    announce('Waiting for the first token.')
    const failure = await settle(stream(listenersOf(run, { asked, model }), signal))
    stopDrawing()
    this.#controller = undefined
    forgetStream()
    // a question without an answer is not a part of what is asked next
    if (run.text !== '') this.#messages = [...asked, { role: 'assistant', content: run.text }]
    this.#conclude(run, turn, { name, isStopped: signal.aborted, failure: signal.aborted ? undefined : failure })
    this.#onState(false)
  }

  /**
   * @param {Run} run
   * @param {ReturnType<typeof createTurn>} turn
   * @param {{ name: string, isStopped: boolean, failure: import('./failure.js').Failure | undefined }} how
   */
  #conclude(run, turn, { name, isStopped, failure }) {
    // an event in the middle of a stream has no header to tell it in
    if (failure !== undefined) failure.requestId ??= run.head.requestId
    const ending = isStopped ? 'Stopped.' : describeEnding(run.finishReason)
    turn.end([ending, run.arrivalsMs.length > 0 ? describeRun(run, name) : ''].filter(Boolean).join(' '), failure)
    this.#panel.show(run)
    const headline = this.#panel.judge(run)
    const { tokens } = run.figures()
    if (failure !== undefined) announce(`The answer failed: ${failure.message}`)
    else announce([isStopped ? 'Stopped' : 'The answer is complete', `after ${tokens} tokens.`, headline].join(' '))
  }
}

/**
 * @param {Run} run
 * @param {{ asked: readonly Message[], model: string }} about
 * @returns {import('./ask.js').Listeners}
 */
function listenersOf(run, { asked, model }) {
  return {
    onHead: (head) => {
      run.head = head
    },
    onChunk(chunk) {
      const isFirst = run.arrivalsMs.length === 0
      run.take(chunk)
      if (isFirst && run.arrivalsMs.length > 0) announce('The answer has begun.')
    },
    onGatewayFigures: (figures) => run.takeGatewayFigures(figures),
    onConnection(state) {
      if (state === 'reconnecting') run.wasCut()
      if (state === 'reconnecting') announce('The connection was cut. Connecting again.')
    },
    onResumable: ({ url }) => storeStream({ url, model, messages: asked })
  }
}

/**
 * Draws what has arrived, once a frame at most; a hidden tab draws nothing, and catches up.
 *
 * @param {Run} run
 * @param {ReturnType<typeof createTurn>} turn
 * @param {Panel} panel
 * @returns {() => void} draws what is left, and stops
 */
function draw(run, turn, panel) {
  let frame = 0
  let drawnAtMs = 0
  /** @param {number} atMs */
  const step = (atMs) => {
    turn.grow(run)
    if (atMs - drawnAtMs >= PANEL_EVERY_MS) {
      drawnAtMs = atMs
      panel.show(run)
    }
    frame = requestAnimationFrame(step)
  }
  frame = requestAnimationFrame(step)
  return () => {
    cancelAnimationFrame(frame)
    turn.grow(run)
  }
}

/**
 * @param {Promise<void>} streaming
 * @returns {Promise<import('./failure.js').Failure | undefined>} what it failed with
 */
function settle(streaming) {
  return streaming.then(() => undefined, toFailure)
}
