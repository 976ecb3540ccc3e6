// What the page asks and what it is told meanwhile: the types that all transports share, and the body of a request.

/** @typedef {{ role: 'user' | 'assistant', content: string }} Message */

/**
 * @typedef {object} Ask
 * @property {string} base where the gateway is, with a slash at its end
 * @property {string} key
 * @property {Body} body
 */

/**
 * @typedef {object} Body
 * @property {string} model
 * @property {readonly Message[]} messages
 * @property {true} stream
 * @property {number} [max_tokens]
 */

/**
 * What a transport tells while an answer comes.
 *
 * @typedef {object} Listeners
 * @property {(head: Head) => void} onHead
 * @property {(chunk: unknown) => void} onChunk a parsed `chat.completion.chunk`
 * @property {(figures: import('./figures.js').GatewayFigures) => void} onGatewayFigures
 * @property {(state: 'reconnecting' | 'connected') => void} onConnection
 * @property {(resume: { url: string }) => void} onResumable where the stream can be found again
 */

/** @typedef {{ requestId?: string | undefined, maxTokens?: number | undefined, queueMs?: number | undefined }} Head */

/**
 * Resolves when the answer is complete; rejects with a `Failure`, or with the signal's reason once that has aborted.
 *
 * @typedef {(ask: Ask, on: Listeners, signal: AbortSignal) => Promise<void>} Transport
 */

/**
 * @param {string} model
 * @param {readonly Message[]} messages
 * @param {number | undefined} maxTokens
 * @returns {Body}
 */
export function createBody(model, messages, maxTokens) {
  return { model, messages, stream: true, ...(maxTokens !== undefined && { max_tokens: maxTokens }) }
}

/** The body as it is sent: with the usage, which tells tokens from pieces. */
export const withUsage = (/** @type {Body} */ body) => ({ ...body, stream_options: { include_usage: true } })

/** @param {string} key */
export function jsonHeaders(key) {
  return { 'content-type': 'application/json', ...(key !== '' && { authorization: `Bearer ${key}` }) }
}
