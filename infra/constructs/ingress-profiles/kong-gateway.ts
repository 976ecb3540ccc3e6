// Streaming through Kong's Gateway API.
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import { KONG_PODS, kongPluginsOf, kongRouteAnnotations, kongServiceAnnotations, noticeKong } from './kong.ts'
import { type ObjectProfile, prefixKeys } from './profile.ts'

export const kongGateway: ObjectProfile = {
  name: 'kong-gateway',
  routedBy: 'objects',
  docs: 'https://developer.konghq.com/kubernetes-ingress-controller/reference/annotations/',
  origin: () => KONG_PODS,
  serviceAnnotations: (wayIn) => kongServiceAnnotations(wayIn),
  objects: (wayIn) => [
    ...renderGatewayRoutes(wayIn, {
      gatewayClassName: 'kong',
      // The Service's annotations have the timers.
      timeouts: false,
      hstsFilter: false,
      annotations: prefixKeys('konghq.com/', kongRouteAnnotations(wayIn))
    }),
    ...kongPluginsOf(wayIn)
  ],
  notices: (wayIn) => [
    ...noticeKong('kong-gateway', wayIn.limits.drainSeconds),
    ...noticeAttached('kong-gateway', wayIn)
  ]
}
