// Who may open a WebSocket: the request for it read, or refused in plain HTTP before anything is upgraded.
import { type IncomingHttpHeaders, type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Principal } from '../../call.ts'
import { HEADERS, WEBSOCKET_PATHS, type WebSocketPath } from '../../contract.ts'
import { GatewayError, retryAfterSeconds, toOpenAiError } from '../../errors.ts'
import { readCredential } from '../credential.ts'

/**
 * A browser can't set a header for a WebSocket, so its key comes as a subprotocol of this name, as OpenAI's Realtime API
 * has it (https://developers.openai.com/api/docs/guides/realtime-websocket).
 */
const KEY_PROTOCOL = 'openai-insecure-api-key.'

/**
 * A browser closes a WebSocket for which none of the subprotocols was chosen that it offered. The key's must not be: it
 * would stand in the response, too.
 */
const PROTOCOLS = ['sluice', 'realtime'] as const

/** Whether a request is one for a WebSocket that the gateway may have; every other request stays an ordinary one. */
export function wantsWebSocket({ method, headers, url }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && pathOf(url) !== undefined
}

/** The path without its query, if it takes WebSockets. */
export function pathOf(url = ''): WebSocketPath | undefined {
  const path = url.split('?', 1)[0]
  return WEBSOCKET_PATHS.find((known) => known === path)
}

/** The subprotocol that the response names, of those that the client offered. */
export function chooseProtocol(offered: ReadonlySet<string>): string | false {
  return PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false
}

/**
 * Which pages may connect: a browser tells of whichever page it is, and asks nobody first as it does for a request by
 * fetch. A page of the gateway's own address, as the console is, may as by fetch; its scheme is not compared, because TLS
 * may end before the gateway. What is no browser sends no origin. Throws `origin_not_allowed`.
 */
export function checkOrigin({ origin, host }: IncomingHttpHeaders, allowed: readonly string[]): void {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return
  if (host !== undefined && URL.parse(origin)?.host === host.toLowerCase()) return
  throw new GatewayError('origin_not_allowed')
}

/** Who asks, by header or by subprotocol. Throws what `authenticate` throws, and `invalid_request` for a key alone. */
export function readPrincipal(
  headers: IncomingHttpHeaders,
  authenticate: (authorization: string | undefined) => Principal
): Principal {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim())
  const key = offered.find((protocol) => protocol.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length)
  const credential = readCredential(headers)
  if (credential !== undefined || key === undefined) return authenticate(credential)
  if (chooseProtocol(new Set(offered)) === false) {
    const message = `Offer one of the subprotocols ${PROTOCOLS.join(', ')} beside the one with the key.`
    throw new GatewayError('invalid_request', { message })
  }
  return authenticate(`Bearer ${key}`)
}

/** Answers the request for a WebSocket with an error, as any other request would be. */
export function refuseUpgrade(socket: Duplex, requestId: string, error: GatewayError): void {
  const body = JSON.stringify(toOpenAiError(error))
  const retryAfter = retryAfterSeconds(error)
  const lines = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    `${HEADERS.requestId}: ${requestId}`,
    ...(retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`]),
    ...(error.status === 401 ? ['WWW-Authenticate: Bearer'] : [])
  ]
  socket.once('finish', () => socket.destroy())
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
