// Streaming through Traefik's Gateway API.
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import type { ObjectProfile } from './profile.ts'
import { middlewaresOf, TRAEFIK_PODS } from './traefik.ts'

/** A listener has to be on the port of an entry point inside the pod; the chart has websecure at this one. */
const WEBSECURE_PORT = 8443

/**
 * Traefik flushes an event stream at once, upgrades WebSockets and has no body limit. Its transport to the gateway waits
 * for as long as it takes unless its static configuration says otherwise, and an HTTPRoute can't say it.
 */
export const traefikGateway: ObjectProfile = {
  name: 'traefik-gateway',
  routedBy: 'objects',
  docs: 'https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/gateway-api/',
  origin: () => TRAEFIK_PODS,
  serviceAnnotations: () => ({}),
  objects: (wayIn) => [
    ...renderGatewayRoutes(wayIn, {
      gatewayClassName: 'traefik',
      port: WEBSECURE_PORT,
      timeouts: false,
      hstsFilter: false,
      extensions: middlewaresOf(wayIn).map(({ kind, name }) => ({ group: 'traefik.io', kind, name }))
    }),
    ...middlewaresOf(wayIn)
  ],
  notices: (wayIn) => {
    const { readTimeoutSeconds, drainSeconds } = wayIn.limits
    return [
      `traefik-gateway: keep serversTransport.forwardingTimeouts.responseHeaderTimeout at 0 or ${readTimeoutSeconds}s and more; on the entry point keep transport.respondingTimeouts.writeTimeout likewise, and let transport.lifeCycle.graceTimeOut be ${drainSeconds}s or more.`,
      `traefik-gateway: the entry point websecure has to listen on ${WEBSECURE_PORT} inside its pods, as the chart has it, and the provider kubernetesGateway must be on.`,
      ...noticeAttached('traefik-gateway', wayIn)
    ]
  }
}
