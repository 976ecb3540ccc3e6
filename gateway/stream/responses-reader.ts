// Reads what the events of one streamed answer of OpenAI's Responses API mean: most by their names, without parsing them.
import { endsJson, findNameEnd, NAME_AT, readData } from './sse.ts'
import type { EventKind, StreamReader } from './stream-reader.ts'
import { type SaidUsage, toUsage, type Usage } from './usage.ts'

/** The first events and the last repeat the request, instructions and tools included. */
const MAX_EVENT_BYTES = 16_777_216
const MAX_EARLY_BYTES = 1_048_576
/** Created, in progress, an item and its part, of a reasoning and of a message; more than that is an answer. */
const MAX_EARLY_EVENTS = 8

/** The fields of a response that matter here. */
export interface SaidResponse {
  readonly status?: unknown
  readonly output?: unknown
  readonly usage?: SaidUsage | null
}

/** The fields of an event that matter here; one without a type is vLLM's error frame. */
interface SaidEvent {
  readonly type?: unknown
  readonly response?: SaidResponse
  readonly error?: unknown
}

const DELTA = Buffer.from('.delta')
const NOTHING = Buffer.alloc(0)

/**
 * How a response ended: `abort` when the engine gave it up. vLLM says `cancelled` of some aborted answers, and of others
 * that they are complete; such a one without a single token was never begun.
 */
export function judgeResponse({ status, output, usage }: SaidResponse): 'completed' | 'incomplete' | 'abort' | 'error' {
  if (status === 'failed') return 'error'
  if (status === 'cancelled') return 'abort'
  if (usage?.output_tokens === 0 && Array.isArray(output) && output.length === 0) return 'abort'
  return status === 'incomplete' ? 'incomplete' : 'completed'
}

/** Its last event is `response.completed` or `response.incomplete`; there is no `[DONE]`. */
export class ResponsesReader implements StreamReader {
  usage: Usage | undefined
  finishReason: string | undefined
  outputEvents = 0
  events = 0

  get errorStatus(): number {
    return 500
  }

  /** Nothing but its last event ends it. */
  get finished(): boolean {
    return this.finishReason !== undefined
  }

  get lastEvent(): Buffer {
    return NOTHING
  }

  get maxEarlyEvents(): number {
    return MAX_EARLY_EVENTS
  }

  get maxEarlyBytes(): number {
    return MAX_EARLY_BYTES
  }

  get maxEventBytes(): number {
    return MAX_EVENT_BYTES
  }

  glance(run: Buffer, start: number, end: number): boolean {
    const nameEnd = findNameEnd(run, start, end)
    if (nameEnd === -1 || !isDelta(run, nameEnd) || !endsJson(run, end)) return false
    this.events++
    this.outputEvents++
    return true
  }

  read(run: Buffer, start: number, end: number): EventKind {
    if (this.glance(run, start, end)) return 'output'
    const kind = this.#readRare(run, start, end, findNameEnd(run, start, end))
    if (PASSES.has(kind)) this.events++
    return kind
  }

  /** An event without a name has one in its data: engines write both, the standard of the API only the latter. */
  #readRare(run: Buffer, start: number, end: number, nameEnd: number): EventKind {
    const named = nameEnd === -1 ? undefined : run.toString('latin1', start + NAME_AT, nameEnd)
    if (named !== undefined && !LAST.has(named) && endsJson(run, end)) return 'empty'
    const data = readData(run, start, end)
    if (data === undefined) return 'comment'
    try {
      return this.#readData(JSON.parse(data), named)
    } catch {
      return 'malformed'
    }
  }

  #readData({ type: said, response = {}, error }: SaidEvent, named: string | undefined): EventKind {
    const type = named ?? String(said ?? (error == null ? '' : 'error'))
    if (type.endsWith('.delta')) {
      this.outputEvents++
      return 'output'
    }
    if (!LAST.has(type)) return 'empty'
    this.usage = toUsage(response.usage) ?? this.usage
    const ending = type === 'error' || type === 'response.failed' ? 'error' : judgeResponse(response)
    if (ending === 'error') return 'error'
    this.finishReason = ending
    return ending === 'abort' ? 'finish' : 'done'
  }
}

/** Events that go to the reader: an answer that was given up or failed ends with an event of the gateway's in place of them. */
const PASSES: ReadonlySet<EventKind> = new Set(['empty', 'output', 'done'])

/** The events after which nothing comes. */
const LAST = new Set(['response.completed', 'response.incomplete', 'response.failed', 'response.cancelled', 'error'])

/** Whether the name that ends at `end` is that of an event with output: text, reasoning, a call's arguments. */
function isDelta(run: Buffer, end: number): boolean {
  for (let i = 1; i <= DELTA.length; i++) if (run[end - i] !== DELTA[DELTA.length - i]) return false
  return true
}
