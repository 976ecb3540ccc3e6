// A resumable stream: begun by a POST, watched by the browser's EventSource, which comes back by itself after a cut.
import { jsonHeaders, withUsage } from './ask.js'
import { Failure, readFailure } from './failure.js'
import { readChunk } from './transport-sse.js'

/** @type {import('./ask.js').Transport} */
export async function streamByEventSource({ base, key, body }, on, signal) {
  const response = await fetch(`${base}v1/streams`, {
    method: 'POST',
    headers: jsonHeaders(key),
    body: JSON.stringify({ endpoint: '/v1/chat/completions', body: withUsage(body) }),
    signal
  })
  if (!response.ok) throw await readFailure(response)
  const maxTokens = response.headers.get('x-sluice-max-tokens')
  on.onHead({
    requestId: response.headers.get('x-request-id') ?? undefined,
    maxTokens: maxTokens === null ? undefined : Number(maxTokens)
  })
  const { url: signed } = /** @type {{ url: string }} */ (await response.json())
  // the signed path is the gateway's; the page may see it below a prefix
  const url = new URL(signed.replace(/^\//, ''), base).href
  on.onResumable({ url })
  await watchStream(url, on, signal)
}

/**
 * Watches a stream from its first event, whoever began it; its signed URL is all that this takes.
 *
 * @param {string} url
 * @param {Pick<import('./ask.js').Listeners, 'onChunk' | 'onConnection'>} on
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function watchStream(url, on, signal) {
  const source = new EventSource(url)
  // leaving is not enough: the gateway lets a stream run on for a while in case its reader comes back
  const cancel = () => void fetch(url, { method: 'DELETE', keepalive: true }).catch(() => {})
  signal.addEventListener('abort', cancel)
  try {
    await listen(source, on, signal)
  } catch (cause) {
    if (source.readyState !== EventSource.CLOSED || signal.aborted) throw cause
    throw await askWhy(url, signal)
  } finally {
    signal.removeEventListener('abort', cancel)
    source.close()
  }
}

/**
 * @param {EventSource} source
 * @param {Pick<import('./ask.js').Listeners, 'onChunk' | 'onConnection'>} on
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function listen(source, on, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
    source.onopen = () => on.onConnection('connected')
    source.onmessage = ({ data }) => {
      try {
        if (data === '[DONE]') resolve()
        else on.onChunk(readChunk(data))
      } catch (cause) {
        reject(cause)
      }
    }
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) reject(new Failure({ code: 'torn', message: 'The stream ended.' }))
      else on.onConnection('reconnecting')
    }
  })
}

/**
 * An EventSource that was refused says nothing of the reason; the same request by fetch does.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function askWhy(url, signal) {
  const controller = new AbortController()
  try {
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.any([signal, controller.signal]) })
    if (!response.ok) return await readFailure(response)
  } finally {
    controller.abort()
  }
  return new Failure({ code: 'torn', message: 'The stream ended in the middle of the answer.' })
}
