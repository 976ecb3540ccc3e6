// How an answer fails: one kind of error for every transport, and the remedy for each code.

/** @typedef {{ code: string, message: string, status?: number, retryAfterSeconds?: number, requestId?: string }} Facts */

/** An answer that failed. `code` is the gateway's, or one of the page's own where the gateway could say nothing. */
export class Failure extends Error {
  /** @param {Facts} facts */
  constructor(facts) {
    super(facts.message)
    this.name = 'Failure'
    this.code = facts.code
    this.status = facts.status
    this.retryAfterSeconds = facts.retryAfterSeconds
    this.requestId = facts.requestId
  }
}

/** @type {Readonly<Record<string, string>>} */
const REMEDIES = {
  missing_api_key: 'Enter an API key above. Whoever runs the gateway makes one with: npm run -s keys -- ID',
  invalid_api_key:
    'Check the key for a missing or extra character. A new key is known a minute after its Secret has changed.',
  key_not_sendable: 'Choose another transport, or a key as the gateway makes them: letters, digits, - and _.',
  model_not_found: 'Choose another model. A restricted one needs a key that names it.',
  route_not_supported: 'Choose a model that chats: this one has other tasks.',
  invalid_json: 'The body was changed on its way: look for a proxy that rewrites requests.',
  engine_refused: 'The engine says why. Often the conversation is longer than its context: start a new one.',
  body_too_large: 'Shorten the message, start a new conversation, or raise maxBodyBytes.',
  queue_full: 'Wait and send again. If it lasts, the model needs more engines, or a larger maxQueued.',
  memory_full: 'Wait and send again. If it lasts, give the gateway more memory, and a larger maxHeldBytes.',
  queue_timeout: 'Wait and send again. If it lasts, the model needs more engines, or a longer queueMs.',
  engine_overloaded: 'The engines refused it for as long as it could wait (queueMs). Send again later, or add engines.',
  no_engine: 'Wait until an engine is ready; /readyz says which pools lack one.',
  shutting_down: 'Send again: another gateway answers.',
  upstream_error: 'Send again. The cause is in the log of the gateway, under the request id.',
  ttft_timeout: 'The engine is overloaded, or the prompt is very long. firstTokenMs sets the limit.',
  idle_timeout: 'The engine may hang: look at its log. idleMs sets the limit.',
  stream_timeout: 'Ask for a shorter answer. streamMs sets the limit.',
  internal_error: 'This is a defect of the gateway. Its log has the cause, under the request id.',
  origin_not_allowed: 'Add the origin of this page to corsOrigins.',
  too_many_streams: 'Wait until one of the other streams has ended.',
  too_many_connections: 'Choose another transport, or raise maxConnections.',
  too_many_messages: 'Send less often, or raise the limit of messages a second.',
  too_many_viewers: 'Close another view of this stream.',
  stream_not_found: 'It has ended and is no longer kept, or it was made with another key. Send again.',
  invalid_stream_url: 'Its address has expired. Send again.',
  stream_truncated: 'Events that this page has not seen are no longer kept. Send again.',
  stream_cancelled: 'Somebody cancelled it, in another tab perhaps. Send again.',
  stream_unwatched: 'Nobody watched for longer than replayGraceMs, so the engine was freed. Send again.',
  streams_unavailable: 'Choose another transport for now. The store of resumable streams does not answer.',
  stream_lost: 'Send again: the gateway that ran it is gone.',
  unknown_url: 'This gateway has no such route: choose another transport.',
  unreachable: 'Is the gateway running, and the network there? A proxy may also have cut the connection.',
  torn: 'Something between the gateway and this page cut the stream: look for an idle or a total timeout shorter than the answer.',
  no_upgrade: 'A proxy on the way may not pass WebSockets on. Choose another transport, or let it pass upgrades.',
  not_the_gateway: 'Something in front of the gateway answered in its place: look for it by the status.'
}

/**
 * What to do about a failure; '' where its own message says it.
 *
 * @param {Failure} failure
 */
export function remedyOf({ code, retryAfterSeconds }) {
  const remedy = REMEDIES[code] ?? ''
  return retryAfterSeconds === undefined ? remedy : `${remedy} The gateway asks for ${retryAfterSeconds} s.`.trim()
}

/**
 * The failure in the body of a response or in an event; undefined where there is none.
 *
 * @param {unknown} value parsed JSON
 * @returns {Pick<Facts, 'code' | 'message'> | undefined}
 */
export function readError(value) {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined
  const { error } = value
  if (typeof error !== 'object' || error === null) return undefined
  const { code, type, message } = /** @type {{ code?: unknown, type?: unknown, message?: unknown }} */ (error)
  return { code: String(code ?? type ?? 'unknown'), message: String(message ?? 'The request failed.') }
}

/**
 * The failure that a response with an error's status tells of.
 *
 * @param {Response} response
 */
export async function readFailure(response) {
  const text = await response.text().catch(() => '')
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const more = {
    status: response.status,
    ...(Number.isFinite(retryAfter) && { retryAfterSeconds: retryAfter }),
    ...(response.headers.has('x-request-id') && { requestId: response.headers.get('x-request-id') ?? '' })
  }
  const known = readError(parseJson(text))
  if (known !== undefined) return new Failure({ ...known, ...more })
  const message = `HTTP ${response.status} ${response.statusText}, and not in the gateway's words.`
  return new Failure({ code: 'not_the_gateway', message, ...more })
}

/**
 * @param {unknown} cause whatever was thrown
 * @returns {Failure}
 */
export function toFailure(cause) {
  if (cause instanceof Failure) return cause
  // what fetch throws says no more than that it failed; browsers word it in different ways
  if (cause instanceof TypeError)
    return new Failure({ code: 'unreachable', message: 'The gateway could not be reached.' })
  return new Failure({ code: 'page_error', message: cause instanceof Error ? cause.message : String(cause) })
}

/**
 * @param {string} text
 * @returns {unknown} undefined for what is no JSON
 */
export function parseJson(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
