// The fast way upstream: event streams over plain HTTP on connections of our own, kept for reuse by origin.
import type { Call, Endpoint, EngineHandler, Lease } from '../call.ts'
import { HEADERS } from '../contract.ts'
import type { Connection } from './connection.ts'
import { Connections } from './connections.ts'
import { toCommonHeaders } from './headers.ts'

export interface EventStreamClientOptions {
  readonly connectMs: number
  /** How long an idle connection is kept; shorter than the engine keeps it. */
  readonly poolIdleMs: number
}

export interface EventStreamClientDeps {
  /** Asks again by another client when an engine answers in a way that is not read here. */
  readonly fallBack: (lease: Lease, call: Call, handler: EngineHandler) => void
  /** Told once for each origin that will always be asked by the other client. */
  readonly onRefused?: (origin: string, cause: Error) => void
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
  /** Origins whose engines answer in a way that is not read here. */
  const refused = new Set<string>()
  const onRefused = (origin: string, cause: Error) => {
    if (!refused.has(origin)) deps.onRefused?.(origin, cause)
    refused.add(origin)
  }
  const connections = new Connections({ ...options, onRefused })
  const open = (lease: Lease, call: Call, handler: EngineHandler, connection: Connection) => {
    const { origin } = lease.endpoint
    connection.start({
      head: toHead(lease.endpoint, call),
      body: call.body.bytes,
      handler,
      onRefused(cause) {
        onRefused(origin, cause)
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
    destroy: () => connections.destroy()
  }
}

/** How requests in JSON begin, by engine and path: nothing in it is of a single call. */
const prefixes = new WeakMap<Endpoint, Map<string, string>>()

/** The head of a request. Its values come from our own code or were checked by a parser: no line end is in them. */
function toHead(endpoint: Endpoint, call: Call): string {
  const prefix = call.body.type === 'application/json' ? findPrefix(endpoint, call) : toPrefix(endpoint, call)
  let head = `${prefix}${HEADERS.requestId}: ${call.id}\r\n`
  for (const name in call.headers) head += `${name}: ${call.headers[name]}\r\n`
  return `${head}content-length: ${call.body.bytes.length}\r\n\r\n`
}

function findPrefix(endpoint: Endpoint, call: Call): string {
  const known = prefixes.get(endpoint)?.get(call.path)
  if (known !== undefined) return known
  const prefix = toPrefix(endpoint, call)
  const paths = prefixes.get(endpoint) ?? new Map<string, string>()
  prefixes.set(endpoint, paths.set(call.path, prefix))
  return prefix
}

function toPrefix(endpoint: Endpoint, call: Call): string {
  const { origin } = endpoint
  const host = origin.slice(origin.indexOf('//') + 2)
  let prefix = `POST ${call.path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`
  const headers = toCommonHeaders(endpoint, call)
  for (const name in headers) prefix += `${name}: ${headers[name]}\r\n`
  return prefix
}
