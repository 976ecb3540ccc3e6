// The messages of one response: the engine's own events, with their lane, and what the next turn must know of them.
import type { GatewayError } from '../../errors.ts'
import { dataOf } from '../../stream/sse.ts'
import { errorEvent, type ResponseFacts } from './response-events.ts'
import type { Framing } from './ws-sink.ts'

const FIRST = '"response.created"'
const LAST = ['"response.completed"', '"response.incomplete"']

/** What a response said. */
export interface Said {
  readonly id: string
  /** Its output items, with commas between. */
  readonly output: Buffer
}

export class ResponseFraming implements Framing {
  /** Undefined until the response has ended as it should. */
  said: Said | undefined
  hasFailed = false
  /** How many events have gone. */
  events = 0
  /** The engine's, once it has told them. */
  facts: ResponseFacts
  readonly #lane: string | undefined
  /** What stands in place of an event's opening brace. */
  readonly #head: Buffer

  constructor(lane: string | undefined, facts: ResponseFacts) {
    this.#lane = lane
    this.facts = facts
    this.#head = Buffer.from(lane === undefined ? '{' : `{"stream_id":"${lane}",`)
  }

  event(run: Buffer, start: number, end: number): Buffer | undefined {
    const data = dataOf(run, start, end)
    if (data === undefined) return undefined
    // a text of the answer can't hold these: its quotes are escaped
    if (this.events === 0 && data.includes(FIRST)) this.#learn(data)
    else if (LAST.some((name) => data.includes(name))) this.#keep(data)
    this.events++
    return Buffer.concat([this.#head, data.subarray(1)])
  }

  done(): undefined {
    return undefined
  }

  failed(error: GatewayError): Buffer {
    this.hasFailed = true
    return errorEvent(this.#lane, error, this.events)
  }

  #learn(data: Buffer): void {
    const { id } = readResponse(data)
    if (typeof id === 'string') this.facts = { ...this.facts, id }
  }

  #keep(data: Buffer): void {
    const { id, output } = readResponse(data)
    if (typeof id !== 'string' || !Array.isArray(output)) return
    this.said = { id, output: Buffer.from(output.map((item) => JSON.stringify(item)).join(',')) }
  }
}

/** The response that an event carries; the relay has seen that it is JSON. */
function readResponse(data: Buffer): { readonly id?: unknown; readonly output?: unknown } {
  return JSON.parse(data.toString()).response ?? {}
}
