// Every WebSocket of the gateway: upgraded, counted, kept under watch by one timer, and closed with the gateway.
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Principal } from '../../call.ts'
import type { WebSocketPath } from '../../contract.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import { pickForwarded } from '../to-call.ts'
import { ChatSession } from './chat-session.ts'
import { Connection, type ConnectionOptions, TellingSocket } from './connection.ts'
import { checkOrigin, chooseProtocol, pathOf, readPrincipal, refuseUpgrade } from './handshake.ts'
import { Histories } from './histories.ts'
import { ResponsesSession } from './responses-session.ts'
import type { Client, Session, SessionDeps, Wire } from './wire.ts'

/** What is known of a connection once it has closed: the source of its log line. */
export interface ConnectionRecord {
  readonly requestId: string
  readonly keyId: string
  readonly path: WebSocketPath
  /** https://www.rfc-editor.org/rfc/rfc6455#section-7.4; 1006: nobody said goodbye. */
  readonly closeCode: number
  readonly cause: string | undefined
  /** How many streams it had. */
  readonly streams: number
  readonly durationMs: number
}

export interface WebSocketDeps extends Omit<SessionDeps, 'maxStreams' | 'maxMessageBytes' | 'histories'> {
  /** False: no connection is taken. */
  readonly takesWork: () => boolean
  /** Throws where the header carries no key that is known. */
  readonly authenticate: (authorization: string | undefined) => Principal
  /** The client's request id, or a new one. */
  readonly requestIdOf: (request: IncomingMessage) => string
  /** Told how many are open, whenever that has changed. */
  readonly onCount: (connections: number) => void
  readonly onClosed: (record: ConnectionRecord) => void
}

export interface WebSocketOptions extends Omit<ConnectionOptions, 'now'> {
  readonly maxConnections: number
  readonly maxStreams: number
  readonly maxMessageBytes: number
  readonly historyBytes: number
  /** The origins whose pages may connect; `*` stands for every one. */
  readonly origins: readonly string[]
}

export interface WebSockets {
  /** How many are open, those that are closing among them. */
  readonly size: number
  /** Takes nothing new, and closes each connection with 1001 as soon as its streams have ended. */
  retire(): void
  /** The same, with 1008, for connections whose principals do not hold their keys any more. */
  retireUnless(holds: (principal: Principal) => boolean): void
  /** Closes everything at once. */
  close(): void
}

/** How long a peer may take to answer a goodbye, in ms. */
const CLOSING_MS = 5_000
/** How late a ping, or the end of a dead peer, may come, in ms. */
const TICK_MS = 1_000

const SESSIONS: Record<WebSocketPath, (wire: Wire, client: Client, deps: SessionDeps) => Session> = {
  '/v1/chat/completions': (wire, client, deps) => new ChatSession(wire, client, deps),
  '/v1/responses': (wire, client, deps) => new ResponsesSession(wire, client, deps)
}

/** Takes the WebSockets of `server`: each request that `wantsWebSocket` picks out becomes one, or is refused. */
export function acceptWebSockets(server: Server, options: WebSocketOptions, deps: WebSocketDeps): WebSockets {
  const connections = new Map<Connection, Principal>()
  const { maxStreams, maxMessageBytes, historyBytes } = options
  const sessionDeps = { ...deps, maxStreams, maxMessageBytes, histories: new Histories(historyBytes) }
  // a constant of its own, for its types lack closeTimeout
  const settings = {
    noServer: true,
    clientTracking: false,
    // tokens are too small to shrink, and each deflated connection holds hundreds of kilobytes
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    closeTimeout: CLOSING_MS,
    handleProtocols: chooseProtocol,
    WebSocket: TellingSocket
  }
  const sockets = new WebSocketServer(settings)
  const open = (client: Client, path: WebSocketPath, socket: TellingSocket, raw: Duplex) => {
    const connection = new Connection(socket, raw, { ...options, now: deps.now })
    connections.set(connection, client.principal)
    deps.onCount(connections.size)
    connection.serve(SESSIONS[path](connection, client, sessionDeps), (closeCode) => {
      connections.delete(connection)
      deps.onCount(connections.size)
      deps.onClosed(recordOf(connection, client, path, closeCode, deps.now()))
    })
  }
  server.on('upgrade', (request, raw, head) => {
    raw.on('error', () => raw.destroy())
    const id = deps.requestIdOf(request)
    try {
      const { path, client } = admit(request, id, connections.size, options, deps)
      sockets.handleUpgrade(request, raw, head, (socket) => open(client, path, socket, raw))
    } catch (cause) {
      const error = asGatewayError(cause)
      deps.onRefused({ id, method: 'upgrade' }, error)
      refuseUpgrade(raw, id, error)
    }
  })
  return watchOver(connections, options, deps)
}

/** Throws a `GatewayError` where the request may have no WebSocket. */
function admit(
  request: IncomingMessage,
  id: string,
  connections: number,
  options: WebSocketOptions,
  deps: WebSocketDeps
): { path: WebSocketPath; client: Client } {
  const path = pathOf(request.url)
  if (path === undefined) throw new GatewayError('unknown_url')
  if (!deps.takesWork()) throw new GatewayError('shutting_down')
  checkOrigin(request.headers, options.origins)
  const principal = readPrincipal(request.headers, deps.authenticate)
  if (connections >= options.maxConnections) throw new GatewayError('too_many_connections')
  // nobody has any use for the others, and the key is among them
  return { path, client: { id, headers: pickForwarded(request.headers), principal } }
}

/** One timer for all of them. */
function watchOver(
  connections: ReadonlyMap<Connection, Principal>,
  options: WebSocketOptions,
  deps: WebSocketDeps
): WebSockets {
  const timer = setInterval(
    () => {
      const nowMs = deps.now()
      for (const connection of connections.keys()) connection.tick(nowMs)
    },
    Math.min(TICK_MS, Math.max(5, options.pingMs / 4))
  )
  timer.unref()
  return {
    get size() {
      return connections.size
    },
    retire() {
      for (const connection of connections.keys()) connection.retire(new GatewayError('shutting_down'))
    },
    retireUnless(holds) {
      for (const [connection, principal] of connections)
        if (!holds(principal)) connection.retire(new GatewayError('invalid_api_key'))
    },
    close() {
      clearInterval(timer)
      for (const connection of connections.keys()) connection.cut()
    }
  }
}

function recordOf(
  { cause, streams, openedAtMs }: Connection,
  { id, principal }: Client,
  path: WebSocketPath,
  closeCode: number,
  nowMs: number
): ConnectionRecord {
  const durationMs = Math.round(nowMs - openedAtMs)
  return { requestId: id, keyId: principal.keyId, path, closeCode, cause: cause?.message, streams, durationMs }
}
