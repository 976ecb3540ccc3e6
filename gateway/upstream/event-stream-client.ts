// The fast way upstream: event streams over plain HTTP on connections of our own, kept for reuse by origin.
import type { Call, Endpoint, EngineHandler, Headers, Lease } from '../call.ts'
import { Connection } from './connection.ts'
import { toEngineHeaders } from './headers.ts'

export interface EventStreamClientOptions {
  readonly connectMs: number
  /** How long an idle connection is kept; shorter than the engine keeps it. */
  readonly poolIdleMs: number
}

export interface EventStreamClientDeps {
  /** Asks again by another client when an engine answers in a way that is not read here. */
  readonly fallBack: (lease: Lease, call: Call, handler: EngineHandler) => void
  /** Told once for each engine that will always be asked by the other client. */
  readonly onRefused?: (endpoint: Endpoint, cause: Error) => void
}

export interface EventStreamClient {
  open(lease: Lease, call: Call, handler: EngineHandler): void
  /** Closes the idle connections to an origin. */
  forget(origin: string): void
  destroy(): void
}

export function createEventStreamClient(
  options: EventStreamClientOptions,
  deps: EventStreamClientDeps
): EventStreamClient {
  const connections = createConnections(options)
  /** Origins whose engines answer in a way that is not read here. */
  const refused = new Set<string>()
  const open = (lease: Lease, call: Call, handler: EngineHandler, connection: Connection) => {
    const { origin } = lease.endpoint
    connection.start({
      head: toHead(origin, call, toEngineHeaders(lease.endpoint, call)),
      body: call.body,
      handler,
      onRefused(cause) {
        if (!refused.has(origin)) deps.onRefused?.(lease.endpoint, cause)
        refused.add(origin)
        deps.fallBack(lease, call, handler)
      },
      onStale: () => open(lease, call, handler, connections.add(origin))
    })
  }
  return {
    open(lease, call, handler) {
      const { origin } = lease.endpoint
      if (refused.has(origin)) deps.fallBack(lease, call, handler)
      else open(lease, call, handler, connections.takeIdle(origin) ?? connections.add(origin))
    },
    forget(origin) {
      refused.delete(origin)
      connections.closeIdle(origin)
    },
    destroy: connections.destroy
  }
}

/** Every open connection, and which of them are idle. */
function createConnections({ connectMs, poolIdleMs }: EventStreamClientOptions) {
  /** Idle ones by origin, the one used last at the end: the others may grow old and close. */
  const idle = new Map<string, Connection[]>()
  const all = new Set<Connection>()
  const drop = (origin: string, connection: Connection) => {
    all.delete(connection)
    const list = idle.get(origin)
    const at = list?.indexOf(connection) ?? -1
    if (at !== -1) list?.splice(at, 1)
  }
  return {
    add(origin: string): Connection {
      const onIdle = (connection: Connection) => {
        const list = idle.get(origin)
        if (list === undefined) idle.set(origin, [connection])
        else list.push(connection)
        connection.rest(poolIdleMs)
      }
      const connection = new Connection(new URL(origin), { connectMs, onIdle })
      all.add(connection)
      connection.socket.once('close', () => drop(origin, connection))
      return connection
    },
    /** The idle connection that was used last; one that is closing at this very moment is none. */
    takeIdle(origin: string): Connection | undefined {
      const list = idle.get(origin)
      let connection = list?.pop()
      while (connection?.socket.destroyed) connection = list?.pop()
      return connection
    },
    closeIdle(origin: string): void {
      for (const connection of idle.get(origin) ?? []) connection.socket.destroy()
      idle.delete(origin)
    },
    destroy(): void {
      for (const connection of all) connection.socket.destroy()
    }
  }
}

/** The head of a request. Its values come from our own code or were checked by Node's parser: no line end is in them. */
function toHead(origin: string, call: Call, headers: Headers): string {
  let head = `POST ${call.path} HTTP/1.1\r\nhost: ${origin.slice(origin.indexOf('//') + 2)}\r\n`
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`
  return `${head}content-length: ${call.body.length}\r\nconnection: keep-alive\r\n\r\n`
}
