// Reads what the events of one streamed answer of Anthropic's Messages API mean: most by their names, without parsing them.
import { endsJson, findNameEnd, NAME_AT, readData, readName, startsWith } from './sse.ts'
import type { EventKind, StreamReader } from './stream-reader.ts'
import { type SaidUsage, toUsage, type Usage } from './usage.ts'

const MAX_EVENT_BYTES = 1_048_576
const MAX_EARLY_BYTES = 65_536
/** `message_start`, a content block's start, pings. */
const MAX_EARLY_EVENTS = 8

const DELTA = Buffer.from('content_block_delta')
const LAST_EVENT = Buffer.from('event: message_stop\ndata: {"type":"message_stop"}\n\n')

/** The fields of an event that matter here. */
interface Event {
  readonly delta?: { readonly stop_reason?: unknown }
  readonly usage?: SaidUsage | null
}

/** `message_delta` tells why an answer ended, `message_stop` that it is whole. */
export class MessagesReader implements StreamReader {
  usage: Usage | undefined
  finishReason: string | undefined
  outputEvents = 0

  get errorStatus(): number {
    return 500
  }

  get finished(): boolean {
    return this.finishReason !== undefined
  }

  /** Its events have no numbers. */
  get events(): number {
    return 0
  }

  get lastEvent(): Buffer {
    return LAST_EVENT
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
    const nameBytes = findNameEnd(run, start, end) - start - NAME_AT
    if (nameBytes !== DELTA.length || !startsWith(run, start + NAME_AT, DELTA) || !endsJson(run, end)) return false
    this.outputEvents++
    return true
  }

  read(run: Buffer, start: number, end: number): EventKind {
    if (this.glance(run, start, end)) return 'output'
    const said = readData(run, start, end)
    if (said === undefined) return 'comment'
    const name = readName(run, start, end)
    // no SDK reads one without a name: an answer of such events would reach nobody
    if (name === '') return 'malformed'
    if (name === 'message_stop') return 'done'
    try {
      const data = JSON.parse(said)
      if (name === 'message_delta' || name === 'error') return this.#readData(data, name === 'error')
      if (name === 'content_block_delta') this.outputEvents++
      return name === 'content_block_delta' ? 'output' : 'empty'
    } catch {
      return 'malformed'
    }
  }

  #readData({ delta, usage }: Event, isError: boolean): EventKind {
    if (isError) return 'error'
    this.usage = toUsage(usage) ?? this.usage
    // vLLM has no word of the API's for an answer that it gave up, and says null
    this.finishReason = String(delta?.stop_reason ?? 'abort')
    return 'finish'
  }
}
