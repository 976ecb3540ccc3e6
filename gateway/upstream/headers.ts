// The headers that an engine gets: ours, and the few of the client's that are in the call.
import type { Call, Endpoint, Headers } from '../call.ts'
import { HEADERS } from '../contract.ts'

/** The engine's own key goes upstream; the client's credential is not in a call, so it can't. */
export function toEngineHeaders(endpoint: Endpoint, call: Call): Headers {
  return { ...call.headers, ...toCommonHeaders(endpoint, call), [HEADERS.requestId]: call.id }
}

/** Those that all calls of one kind to an engine have. */
export function toCommonHeaders({ engineKey }: Endpoint, { body, stream }: Call): Headers {
  const headers = { 'content-type': body.type, accept: stream ? 'text/event-stream' : 'application/json' }
  return engineKey === undefined ? headers : { ...headers, authorization: `Bearer ${engineKey}` }
}
