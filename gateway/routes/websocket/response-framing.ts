// The messages of one response: the engine's own events, with their lane, and what the next turn must know of them.
import type { GatewayError } from '../../errors.ts'
import { dataOf } from '../../stream/sse.ts'
import { errorEvent, type ResponseFacts } from './response-events.ts'
import type { Framing } from './ws-sink.ts'

const OPEN_BRACE = 0x7b
const FIRST = 'response.created'
const LAST = ['response.completed', 'response.incomplete']

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
    // most events say neither, and are not parsed
    if (this.events === 0 && data.includes(FIRST)) this.#learn(data)
    else if (LAST.some((name) => data.includes(name))) this.#keep(data)
    this.events++
    return Buffer.concat([this.#head, data.subarray(data.indexOf(OPEN_BRACE) + 1)])
  }

  done(): undefined {
    return undefined
  }

  failed(error: GatewayError): Buffer {
    this.hasFailed = true
    return errorEvent(this.#lane, error, this.events)
  }

  #learn(data: Buffer): void {
    const { type, response } = readEvent(data)
    const id = response?.id
    if (type === FIRST && typeof id === 'string') this.facts = { ...this.facts, id }
  }

  #keep(data: Buffer): void {
    const { type, response } = readEvent(data)
    const { id, output } = response ?? {}
    if (!LAST.includes(String(type)) || typeof id !== 'string' || !Array.isArray(output)) return
    this.said = { id, output: Buffer.from(output.map((item) => JSON.stringify(item)).join(',')) }
  }
}

interface SaidEvent {
  readonly type?: unknown
  readonly response?: { readonly id?: unknown; readonly output?: unknown } | null
}

/** An event that is no JSON says nothing. */
function readEvent(data: Buffer): SaidEvent {
  try {
    return JSON.parse(data.toString()) ?? {}
  } catch {
    return {}
  }
}
