// Streaming through any implementation of the Gateway API, with what the API itself has.
import { noticeAttached, proxiesOf, renderGatewayRoutes } from './gateway-routes.ts'
import type { ObjectProfile } from './profile.ts'

/**
 * The API knows one timer, for a whole answer, and neither buffering nor idle timers. Implementations that need more have
 * a profile of their own.
 */
export const gatewayApi: ObjectProfile = {
  name: 'gateway-api',
  routedBy: 'objects',
  docs: 'https://gateway-api.sigs.k8s.io/guides/http-timeouts/',
  origin: (wayIn) => ({
    ...proxiesOf(wayIn),
    guess: 'the pods of its proxies are taken for those that are labelled gateway.networking.k8s.io/gateway-name'
  }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => renderGatewayRoutes(wayIn, {}),
  notices: (wayIn) => [
    `gateway-api: HTTPRoute timeouts are Extended support: see that the implementation lists HTTPRouteRequestTimeout, buffers no response, and that its own idle timers are ${wayIn.limits.readTimeoutSeconds}s or more.`,
    `gateway-api: let the implementation's pods drain for ${wayIn.limits.drainSeconds}s or more.`,
    ...(wayIn.gateway === undefined
      ? [
          `gateway-api: an implementation that runs the Gateway's proxies in namespace ${wayIn.namespace} can't configure them there: its control plane is not known, so no edge leads to it. Attach to a Gateway elsewhere by gateway: { name, namespace }, or take the implementation's own profile.`
        ]
      : []),
    ...noticeAttached('gateway-api', wayIn)
  ]
}
