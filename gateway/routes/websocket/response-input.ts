// From a `response.create` event to the body of a request: without what is of the WebSocket, with what its lane remembers.
import { GatewayError } from '../../errors.ts'
import type { JsonBody } from '../json-body.ts'
import { joinItems } from './histories.ts'

const OPEN_BRACKET = 0x5b
const QUOTE = 0x22
const NOTHING = Buffer.alloc(0)

/** Fields that a request over HTTP has not. */
const OURS = { type: undefined, stream_id: undefined, generate: undefined, previous_response_id: undefined }

export interface ResponseInput {
  /** The body for the engine. */
  readonly body: Buffer
  /** Everything that was said so far, as items with commas between; undefined where it is nothing that has items. */
  readonly items: Buffer | undefined
}

/**
 * The id that a request goes on from; undefined where it begins anew. Throws `invalid_request` for what is no id.
 */
export function readPrevious(event: JsonBody): string | undefined {
  const id = event.get('previous_response_id') ?? undefined
  if (id === undefined || typeof id === 'string') return id
  const message = 'previous_response_id must be the id of a response.'
  throw new GatewayError('invalid_request', { message, param: 'previous_response_id' })
}

/**
 * Throws `invalid_request` for an input that has no items to put behind others.
 *
 * @param past the items of the response that it goes on from; undefined: of none
 */
export function composeInput(event: JsonBody, past: Buffer | undefined): ResponseInput {
  const own = toItems(event.raw('input'))
  if (past === undefined) return { body: event.with(OURS), items: own }
  if (own === undefined && event.get('input') != null) {
    throw new GatewayError('invalid_request', { message: 'input must be a text or a list of items.', param: 'input' })
  }
  const items = joinItems(past, own ?? NOTHING)
  const rest = event.with({ ...OURS, input: undefined })
  const begin = Buffer.from(rest.length > 2 ? '],' : ']')
  return { body: Buffer.concat([Buffer.from('{"input":['), items, begin, rest.subarray(1)]), items }
}

/** A text is short for one message of the user. Undefined: it is neither text nor list. */
function toItems(input: Buffer | undefined): Buffer | undefined {
  if (input?.[0] === QUOTE) {
    return Buffer.concat([Buffer.from('{"type":"message","role":"user","content":'), input, Buffer.from('}')])
  }
  if (input?.[0] !== OPEN_BRACKET) return undefined
  const inner = input.subarray(1, -1)
  return inner.toString('latin1').trim() === '' ? NOTHING : Buffer.from(inner)
}
