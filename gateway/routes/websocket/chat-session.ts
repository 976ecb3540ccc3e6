// Sluice's own protocol at /v1/chat/completions: `create` and `cancel` come in; `created`, `chunk`, `done` and `error` go out.
import { asGatewayError, GatewayError, toOpenAiError } from '../../errors.ts'
import { dataOf } from '../../stream/sse.ts'
import { type JsonBody, readJsonBody } from '../json-body.ts'
import { toCall } from '../to-call.ts'
import type { Client, Session, SessionDeps, Wire } from './wire.ts'
import { type Framing, WsSink } from './ws-sink.ts'

const PATH = '/v1/chat/completions'
const ID = /^[A-Za-z0-9._:-]{1,128}$/
const DONE = '[DONE]'
const CLOSE_BRACE = Buffer.from('}')

export class ChatSession implements Session {
  readonly #wire: Wire
  readonly #client: Client
  readonly #deps: SessionDeps
  readonly #streams = new Map<string, WsSink>()
  #messages = 0

  constructor(wire: Wire, client: Client, deps: SessionDeps) {
    this.#wire = wire
    this.#client = client
    this.#deps = deps
  }

  get busy(): boolean {
    return this.#streams.size > 0
  }

  receive(message: Buffer): void {
    const requestId = `${this.#client.id}.${++this.#messages}`
    // an error that names a stream is that stream's end, so one of another's making must not
    let ends: string | null = null
    try {
      const envelope = readJsonBody(message, 'message')
      const type = envelope.get('type')
      if (type !== 'create' && type !== 'cancel') throw refuse('type', 'type must be "create" or "cancel".')
      const id = readId(envelope)
      if (type === 'cancel') this.#cancel(id)
      else {
        if (this.#streams.has(id)) throw new GatewayError('duplicate_id', { param: 'id' })
        ends = id
        this.#create(id, requestId, envelope)
      }
    } catch (cause) {
      const error = asGatewayError(cause)
      this.#deps.onRefused({ id: requestId, method: 'message' }, error)
      this.#wire.send(errorMessage(ends, error))
    }
  }

  tell(error: GatewayError): void {
    this.#wire.send(errorMessage(null, error))
  }

  /** Nothing waits here: what can't begin at once is refused. */
  refuseWaiting(): void {}

  abandon(): void {
    this.#streams.clear()
  }

  #create(id: string, requestId: string, envelope: JsonBody): void {
    if (this.#wire.retired !== undefined) throw this.#wire.retired
    if (this.#streams.size >= this.#deps.maxStreams) throw new GatewayError('too_many_streams')
    const body = envelope.raw('body')
    if (body === undefined) throw refuse('body', 'body must be an object: the body of a chat completion.')
    const { headers, principal } = this.#client
    const acceptedAtMs = this.#deps.now()
    const call = toCall(
      { id: requestId, path: PATH, headers, body, principal, streams: true, acceptedAtMs },
      this.#deps
    )
    const sink = new WsSink(this.#wire, frame(id), () => this.#streams.delete(id))
    this.#streams.set(id, sink)
    this.#wire.send(toMessage({ type: 'created', id, request_id: requestId, max_tokens: call.maxTokens }))
    this.#deps.exchange(call, sink)
  }

  #cancel(id: string): void {
    const sink = this.#streams.get(id)
    if (sink === undefined) throw new GatewayError('unknown_id', { param: 'id' })
    sink.cancel()
    this.#wire.send(toMessage({ type: 'done', id, reason: 'cancelled' }))
  }
}

function readId(envelope: JsonBody): string {
  const id = envelope.get('id')
  if (typeof id === 'string' && ID.test(id)) return id
  throw refuse('id', 'id must be 1 to 128 letters, digits and ._:- of your choice.')
}

const refuse = (param: string, message: string) => new GatewayError('invalid_request', { param, message })

const toMessage = (value: unknown) => Buffer.from(JSON.stringify(value))

function errorMessage(id: string | null, error: GatewayError): Buffer {
  const { status, retryAfterMs } = error
  const after = retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }
  return toMessage({ type: 'error', id, status, ...toOpenAiError(error), ...after })
}

/** Chunks are the engine's own bytes, framed and not parsed. */
function frame(id: string): Framing {
  const head = Buffer.from(`{"type":"chunk","id":"${id}","data":`)
  return {
    event(run, start, end) {
      const data = dataOf(run, start, end)
      if (data === undefined || (data.length === DONE.length && data.toString('latin1') === DONE)) return undefined
      return Buffer.concat([head, data, CLOSE_BRACE])
    },
    done: () => toMessage({ type: 'done', id, reason: 'complete' }),
    failed: (error) => errorMessage(id, error)
  }
}
