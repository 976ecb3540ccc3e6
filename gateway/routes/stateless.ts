// What a response may not ask for, because engines keep its state in one process's memory and the next request meets another.
import { GatewayError } from '../errors.ts'
import type { JsonObject } from './json-body.ts'
import type { Fields } from './output-cap.ts'

/** What each field would need, and what to send in its place. */
const REMEDIES = {
  previous_response_id: 'Send the earlier turns in input: responses are not kept.',
  conversation: 'Send the earlier turns in input: conversations are not kept.',
  background: 'Ask with stream, and stay connected: an answer is generated for as long as its reader is there.'
} as const

/**
 * Refuses a response that builds on what an engine remembers, with `invalid_request` and the field, and gives the field
 * that keeps an engine from remembering this one: vLLM holds stored responses until its process ends, and hands them to
 * whoever knows their id.
 */
export function checkStateless(body: Fields): JsonObject {
  for (const [param, remedy] of Object.entries(REMEDIES)) {
    const value = body.get(param)
    if (value === undefined || value === null || value === false) continue
    throw new GatewayError('invalid_request', { message: `${param} is not supported. ${remedy}`, param })
  }
  return { store: false }
}
