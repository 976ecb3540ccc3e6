// Which engines a pool has: a fixed list, or one address for each that DNS knows now.
import { lookup } from 'node:dns/promises'
import type { Endpoint } from '../call.ts'
import type { PoolConfig } from '../contract.ts'

/** Tells the whole list each time that it may have changed. */
export type OnEndpoints = (pool: string, endpoints: readonly Endpoint[]) => void

export interface DiscoveryDeps {
  readonly onEndpoints: OnEndpoints
  /** Told of each look-up that failed for another reason than that there is no engine. */
  readonly onError: (pool: string, cause: Error) => void
  /** All addresses of a host name; defaults to the system's resolver, which reads the pod's resolv.conf. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

/** The answers that mean: this headless Service has no ready pod now. */
const NO_ADDRESS = new Set(['ENOTFOUND', 'ENODATA'])

const resolveBySystem = async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address)

/** Makes an endpoint of an origin such as `http://10.0.0.7:8000`. */
export function toEndpoint(pool: string, origin: string, engineKey: string | undefined): Endpoint {
  const url = new URL(origin)
  return Object.freeze({ id: url.host, origin: url.origin, pool, engineKey })
}

/** Starts to look; the returned function stops. A fixed list is told once, at once. */
export function startDiscovery(pool: PoolConfig, engineKey: string | undefined, deps: DiscoveryDeps): () => void {
  if ('urls' in pool.engines) {
    const endpoints = new Map(
      pool.engines.urls.map((url) => toEndpoint(pool.name, url, engineKey)).map((e) => [e.id, e])
    )
    deps.onEndpoints(pool.name, [...endpoints.values()])
    return () => {}
  }
  const { host, port, refreshMs } = pool.engines.dns
  const { onEndpoints, onError, resolve = resolveBySystem } = deps
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const refresh = async () => {
    try {
      const addresses = [...new Set(await resolve(host))].sort()
      const origins = addresses.map((address) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`)
      if (!stopped)
        onEndpoints(
          pool.name,
          origins.map((origin) => toEndpoint(pool.name, origin, engineKey))
        )
    } catch (cause) {
      // a resolver that is down says nothing about the engines: keep the last list
      if (stopped) return
      if (NO_ADDRESS.has((cause as NodeJS.ErrnoException).code ?? '')) onEndpoints(pool.name, [])
      else onError(pool.name, cause as Error)
    } finally {
      if (!stopped) timer = setTimeout(refresh, refreshMs).unref()
    }
  }
  void refresh()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
