// The headers that an engine gets: ours, and the few of the client's that are in the call.
import type { Call, Endpoint, Headers } from '../call.ts'
import { HEADERS } from '../contract.ts'

/** The engine's own key goes upstream; the client's credential is not in a call, so it can't. */
export function toEngineHeaders(endpoint: Endpoint, call: Call): Headers {
  return {
    ...call.headers,
    'content-type': call.body.type,
    accept: call.stream ? 'text/event-stream' : 'application/json',
    [HEADERS.requestId]: call.id,
    ...(endpoint.engineKey === undefined ? {} : { authorization: `Bearer ${endpoint.engineKey}` })
  }
}
