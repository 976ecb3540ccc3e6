// Streaming through Kong's Gateway API.
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import { kongPluginsOf, kongRouteAnnotations, kongServiceAnnotations, noticeKong } from './kong.ts'
import { type ObjectProfile, prefixKeys } from './profile.ts'

export const kongGateway: ObjectProfile = {
  name: 'kong-gateway',
  routedBy: 'objects',
  docs: 'https://developer.konghq.com/kubernetes-ingress-controller/reference/annotations/',
  serviceAnnotations: (edge) => kongServiceAnnotations(edge),
  objects: (edge) => [
    ...renderGatewayRoutes(edge, {
      gatewayClassName: 'kong',
      // The Service's annotations have the timers.
      timeouts: false,
      hstsFilter: false,
      annotations: prefixKeys('konghq.com/', kongRouteAnnotations(edge))
    }),
    ...kongPluginsOf(edge)
  ],
  notices: (edge) => [...noticeKong('kong-gateway', edge.limits.drainSeconds), ...noticeAttached('kong-gateway', edge)]
}
