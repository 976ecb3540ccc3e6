// One WebSocket an answer, over the gateway's own protocol: create, cancel; created, chunk, done, error.
import { jsonHeaders, withUsage } from './ask.js'
import { Failure, parseJson, readError, readFailure } from './failure.js'

/** A browser can't set a header for a WebSocket: the key is offered as a subprotocol, and never chosen. */
const protocolsFor = (/** @type {string} */ key) => ['sluice', `openai-insecure-api-key.${key}`]

/** https://www.rfc-editor.org/rfc/rfc9110#name-tokens: the browser's own error would show the key. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

/** @typedef {{ type?: string, data?: unknown, status?: number, request_id?: string, max_tokens?: number, retry_after_ms?: number }} Message */

const ID = 'answer'

/** @type {import('./ask.js').Transport} */
export async function streamByWebSocket({ base, key, body }, on, signal) {
  if (!TOKEN.test(key)) {
    throw new Failure({ code: 'key_not_sendable', message: 'This key has a sign that a WebSocket can’t carry.' })
  }
  // a refused handshake tells a page nothing, not even its status: what can be known before is asked before
  const models = await fetch(`${base}v1/models`, { headers: jsonHeaders(key), cache: 'no-store', signal })
  if (!models.ok) throw await readFailure(models)
  const url = `${base.replace(/^http/, 'ws')}v1/chat/completions`
  const socket = new WebSocket(url, protocolsFor(key))
  try {
    await converse(socket, withUsage(body), on, signal)
  } finally {
    socket.close()
  }
}

/**
 * @param {WebSocket} socket
 * @param {object} body
 * @param {import('./ask.js').Listeners} on
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function converse(socket, body, on, signal) {
  let isOpen = false
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => {
      if (isOpen) socket.send(JSON.stringify({ type: 'cancel', id: ID }))
      reject(signal.reason)
    })
    socket.onopen = () => {
      isOpen = true
      socket.send(JSON.stringify({ type: 'create', id: ID, body }))
    }
    socket.onmessage = ({ data }) => {
      const message = /** @type {Message} */ (parseJson(data) ?? {})
      if (message.type === 'chunk') on.onChunk(message.data)
      else if (message.type === 'done') resolve()
      else if (message.type === 'error') reject(toFailure(message))
      else if (message.type === 'created') on.onHead({ requestId: message.request_id, maxTokens: message.max_tokens })
    }
    socket.onclose = ({ code }) =>
      reject(
        isOpen
          ? new Failure({ code: 'torn', message: `The WebSocket was closed in the middle of the answer (${code}).` })
          : new Failure({ code: 'no_upgrade', message: 'The WebSocket could not be opened.' })
      )
  })
}

/** @param {Message} message */
function toFailure(message) {
  const { status, retry_after_ms: afterMs } = message
  return new Failure({
    ...(readError(message) ?? { code: 'unknown', message: 'The request failed.' }),
    ...(status !== undefined && { status }),
    ...(afterMs !== undefined && { retryAfterSeconds: Math.ceil(afterMs / 1000) })
  })
}
