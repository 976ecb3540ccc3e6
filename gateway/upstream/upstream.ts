// Chooses the way to an engine: sockets of our own for event streams over plain HTTP, undici for everything else.
import type { Endpoint } from '../call.ts'
import { type Client, type ClientOptions, createClient } from './client.ts'
import { createEventStreamClient } from './event-stream-client.ts'

export interface UpstreamOptions extends ClientOptions {
  /** Told when an engine answers in a way that the fast way does not read: from then on it is asked by undici. */
  readonly onFallBack: (origin: string, cause: Error) => void
  /** `auto` takes the fast way where it can; `undici` never does. */
  readonly engineClient: 'auto' | 'undici'
}

/** One client over both ways. */
export function createUpstream(options: UpstreamOptions): Client {
  const undici = createClient(options)
  if (options.engineClient === 'undici') return undici
  const fast = createEventStreamClient(options, {
    fallBack: undici.open,
    onRefused: options.onFallBack
  })
  const isPlain = (endpoint: Endpoint) => endpoint.origin.startsWith('http://')
  return {
    open(lease, call, handler) {
      const { open } = call.stream && call.body.rest === undefined && isPlain(lease.endpoint) ? fast : undici
      open(lease, call, handler)
    },
    probe: undici.probe,
    forget(endpoint) {
      fast.forget(endpoint.origin)
      undici.forget(endpoint)
    },
    async destroy() {
      fast.destroy()
      await undici.destroy()
    }
  }
}
