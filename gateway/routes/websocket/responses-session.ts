// OpenAI's WebSocket mode at /v1/responses: lanes of responses, each continued from what its connection remembers.
// https://developers.openai.com/api/docs/guides/websocket-mode
import { asGatewayError, GatewayError } from '../../errors.ts'
import { type JsonBody, readJsonBody } from '../json-body.ts'
import { toCall } from '../to-call.ts'
import { ConnectionHistory } from './histories.ts'
import { Lanes } from './lanes.ts'
import { cancelledEvent, errorEvent, steerFailedEvent, warmUpEvents } from './response-events.ts'
import { ResponseFraming } from './response-framing.ts'
import { composeInput, readPrevious } from './response-input.ts'
import type { Client, Session, SessionDeps, Wire } from './wire.ts'
import { WsSink } from './ws-sink.ts'

const PATH = '/v1/responses'
/** As OpenAI's error message says it. */
const LANE = /^[A-Za-z0-9_.-]{1,256}$/

const NOTHING = Buffer.alloc(0)

/** One `response.create`, waiting or running. */
interface Request {
  readonly lane: string | undefined
  readonly bytes: number
  readonly requestId: string
  event: JsonBody | undefined
  framing?: ResponseFraming
  sink?: WsSink
}

export class ResponsesSession implements Session {
  readonly #wire: Wire
  readonly #client: Client
  readonly #deps: SessionDeps
  readonly #history: ConnectionHistory
  readonly #lanes: Lanes<Request>
  #messages = 0

  constructor(wire: Wire, client: Client, deps: SessionDeps) {
    this.#wire = wire
    this.#client = client
    this.#deps = deps
    this.#history = new ConnectionHistory(deps.histories)
    const limits = { maxRunning: deps.maxStreams, maxWaitingBytes: deps.maxMessageBytes }
    this.#lanes = new Lanes(limits, (request) => this.#start(request))
  }

  get busy(): boolean {
    return this.#lanes.running > 0
  }

  receive(message: Buffer): void {
    const requestId = `${this.#client.id}.${++this.#messages}`
    let lane: string | undefined
    try {
      // what waits must not keep the whole read that it came in
      const event = readJsonBody(Buffer.from(message), 'message')
      const type = event.get('type')
      if (type === 'response.steer') this.#refuseSteer(event)
      else {
        lane = readLane(event)
        this.#take(type, { lane, bytes: message.length, requestId, event })
      }
    } catch (cause) {
      this.#refuse(lane, requestId, cause)
    }
  }

  tell(error: GatewayError): void {
    this.#wire.send(errorEvent(undefined, error))
  }

  refuseWaiting(error: GatewayError): void {
    for (const { lane, requestId } of this.#lanes.clear()) this.#refuse(lane, requestId, error)
  }

  abandon(): void {
    this.#lanes.clear()
    this.#history.clear()
  }

  #take(type: unknown, request: Request): void {
    if (type === 'response.cancel') this.#cancel(request.lane)
    else if (type !== 'response.create') {
      const message = 'type must be "response.create", "response.cancel" or "response.steer".'
      throw new GatewayError('invalid_request', { message, param: 'type' })
    } else if (this.#wire.retired !== undefined) throw this.#wire.retired
    else this.#lanes.add(request)
  }

  /** Its input goes back, but not to a peer that reads slower than it steers: all of it would wait here. */
  #refuseSteer(event: JsonBody): void {
    if (this.#wire.full) {
      const message = 'The engines take no input while they answer, and too much waits to leave for it to be sent back.'
      throw new GatewayError('invalid_request', { message, param: 'type' })
    }
    this.#wire.send(steerFailedEvent(readSteer(event)))
  }

  #refuse(lane: string | undefined, requestId: string, cause: unknown): void {
    const error = asGatewayError(cause)
    this.#deps.onRefused({ id: requestId, method: 'message' }, error)
    this.#wire.send(errorEvent(lane, error))
  }

  #start(request: Request): void {
    const { event, lane, requestId } = request
    if (event === undefined) return
    request.event = undefined
    let previous: string | undefined
    try {
      previous = readPrevious(event)
      this.#ask(request, event, previous)
    } catch (cause) {
      this.#refuse(lane, requestId, cause)
      this.#end(request, previous, true)
    }
  }

  #ask(request: Request, event: JsonBody, previous: string | undefined): void {
    const { lane, requestId } = request
    const past = previous === undefined ? undefined : this.#history.find(previous)
    if (previous !== undefined && past === undefined) {
      throw new GatewayError('previous_response_not_found', { param: 'previous_response_id' })
    }
    const { body, items } = composeInput(event, past)
    if (past !== undefined && body.length > this.#deps.maxMessageBytes) throw tooLong(this.#deps.maxMessageBytes)
    const { headers, principal } = this.#client
    const acceptedAtMs = this.#deps.now()
    const call = toCall(
      { id: requestId, path: PATH, headers, body, principal, streams: true, acceptedAtMs },
      this.#deps
    )
    const facts = { id: `resp_${requestId}`, model: call.model, createdSeconds: this.#deps.nowSeconds() }
    const turn = this.#history.begin(items)
    if (event.get('generate') === false) {
      for (const message of warmUpEvents(lane, facts)) this.#wire.send(message)
      this.#history.keep(lane, turn, facts.id, NOTHING)
      this.#lanes.end(request)
      return
    }
    const framing = new ResponseFraming(lane, facts)
    request.framing = framing
    request.sink = new WsSink(this.#wire, framing, () => {
      if (framing.said === undefined || framing.hasFailed) this.#history.drop(turn)
      else this.#history.keep(lane, turn, framing.said.id, framing.said.output)
      this.#end(request, previous, framing.hasFailed)
    })
    this.#deps.exchange(call, request.sink)
  }

  /** A continuation that failed forgets what it went on from, as OpenAI's does, unless that is another lane's. */
  #end(request: Request, previous: string | undefined, hasFailed: boolean): void {
    if (hasFailed && previous !== undefined) this.#history.forget(request.lane, previous)
    this.#lanes.end(request)
  }

  #cancel(lane: string | undefined): void {
    const { sink, framing } = this.#lanes.find(lane) ?? {}
    if (sink === undefined || framing === undefined) throw new GatewayError('unknown_id', { param: 'stream_id' })
    // before the lane is free, or the next response would begin before this one has ended
    this.#wire.send(cancelledEvent(lane, framing.facts, framing.events))
    sink.cancel()
  }
}

const tooLong = (bytes: number) =>
  new GatewayError('body_too_large', {
    message: `With what was said before the input is larger than ${bytes} bytes. Begin anew with less.`,
    param: 'input'
  })

function readLane(event: JsonBody): string | undefined {
  const lane = event.get('stream_id')
  if (lane === undefined || (typeof lane === 'string' && LANE.test(lane))) return lane
  throw new GatewayError('invalid_stream_id', { param: 'stream_id' })
}

const readSteer = (event: JsonBody) => ({
  input: event.get('input') ?? null,
  previous_response_id: event.get('previous_response_id') ?? null
})
