// Takes connections before Node's HTTP server: those with plain requests are served here, all others are handed to it.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Roster } from '../stream/roster.ts'
import { ClientConnection, type ConnectionOwner } from './client-connection.ts'

export interface FrontOptions {
  readonly maxBodyBytes: number
  /** How long a connection is kept for its next request. */
  readonly keepAliveMs: number
  /** A reader that takes nothing for so long after the end of its answer is cut off. */
  readonly stalledMs: number
}

export interface FrontDeps
  extends Pick<ConnectionOwner, 'now' | 'serves' | 'identify' | 'receive' | 'exchange' | 'refuse' | 'onBroken'> {
  /** The `Date` header of now. */
  readonly date: () => string
}

export interface Front {
  /** Answers that have not left yet. */
  readonly openResponses: () => number
  /** Closes the connections that have nothing to answer, each behind what has not left yet of its last answer. */
  closeIdle(): void
  /** Closes every connection. */
  close(): void
}

const SWEEP_MS = 1_000

/** Puts itself before the listeners of `server`, which must not have begun to listen. */
export function installFront(server: Server, options: FrontOptions, deps: FrontDeps): Front {
  const { maxBodyBytes, keepAliveMs, stalledMs } = options
  const connections = new Roster<ClientConnection>()
  const owner: ConnectionOwner = {
    ...deps,
    maxBodyBytes,
    style: { keepAlive: `timeout=${Math.floor(keepAliveMs / 1000)}`, stalledMs, date: deps.date },
    listens: () => server.listening,
    onLeft: (connection) => connections.delete(connection),
    handOver: createHandOver(server)
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket) => connections.add(new ClientConnection(socket, owner)))
  const sweeper = setInterval(() => {
    const nowMs = deps.now()
    connections.visit((connection) => sweep(connection, nowMs - connection.sinceMs, server, keepAliveMs))
  }, SWEEP_MS)
  sweeper.unref()
  return {
    openResponses() {
      let count = 0
      connections.visit(({ open }) => {
        if (open) count++
      })
      return count
    },
    closeIdle: () => connections.visit((connection) => connection.retire()),
    close() {
      clearInterval(sweeper)
      connections.visit(({ socket }) => socket.destroy())
    }
  }
}

/** Gives a socket to those who listened to `server` first, as if it were new: with what was read of it put back. */
function createHandOver(server: Server): ConnectionOwner['handOver'] {
  const listeners = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  return (socket, unread) => {
    // what is put back must not be told before somebody listens
    socket.pause()
    socket.unshift(unread)
    for (const listener of listeners) listener.call(server, socket)
    socket.resume()
  }
}

/** Closes what has waited for too long, by the time limits of Node's server. */
function sweep(connection: ClientConnection, forMs: number, server: Server, keepAliveMs: number): void {
  if (connection.phase === 'answer') return
  if (connection.phase === 'idle' && connection.answered) {
    if (forMs > keepAliveMs + server.keepAliveTimeoutBuffer) connection.socket.destroy()
    return
  }
  const mostMs = connection.phase === 'body' ? server.requestTimeout : server.headersTimeout
  if (forMs > mostMs) connection.refuse('ERR_HTTP_REQUEST_TIMEOUT')
}
