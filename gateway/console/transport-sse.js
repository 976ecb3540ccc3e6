// Server-sent events in the answer to a POST, read by fetch: what every OpenAI client does.
import { jsonHeaders, withUsage } from './ask.js'
import { createEventReader } from './event-stream.js'
import { Failure, parseJson, readError, readFailure } from './failure.js'
import { readGatewayFigures, readQueueMs } from './figures.js'

/** @type {import('./ask.js').Transport} */
export async function streamBySse({ base, key, body }, on, signal) {
  const response = await fetch(`${base}v1/chat/completions`, {
    method: 'POST',
    headers: { ...jsonHeaders(key), 'x-sluice-timing': '1' },
    body: JSON.stringify(withUsage(body)),
    cache: 'no-store',
    signal
  })
  if (!response.ok) throw await readFailure(response)
  on.onHead(readHead(response.headers))
  let isDone = false
  const read = createEventReader({
    onData(data) {
      if (data === '[DONE]') isDone = true
      else on.onChunk(readChunk(data))
    },
    onComment(comment) {
      const figures = readGatewayFigures(comment)
      if (figures !== undefined) on.onGatewayFigures(figures)
    }
  })
  await readBody(response, read)
  if (!isDone) throw new Failure({ code: 'torn', message: 'The stream ended in the middle of the answer.' })
}

/**
 * Reads a body piece by piece. The next piece is asked for when the last one has been used, so a page that falls behind
 * makes the engine wait, not its own memory grow.
 *
 * @param {Response} response
 * @param {(text: string) => void} use
 */
async function readBody(response, use) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) return
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) use(next.value)
  } finally {
    reader.cancel().catch(() => {})
  }
}

/** @param {Headers} headers */
function readHead(headers) {
  const maxTokens = headers.get('x-sluice-max-tokens')
  return {
    requestId: headers.get('x-request-id') ?? undefined,
    maxTokens: maxTokens === null ? undefined : Number(maxTokens),
    queueMs: readQueueMs(headers.get('server-timing'))
  }
}

/**
 * The chunk in an event; throws the failure that it tells of.
 *
 * @param {string} data
 */
export function readChunk(data) {
  const chunk = parseJson(data)
  const error = readError(chunk)
  if (error !== undefined) throw new Failure(error)
  return chunk
}
