// Streaming through Cilium's Gateway API.
import { noticeCilium } from './cilium.ts'
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import type { ObjectProfile } from './profile.ts'

/** Cilium's Envoy passes on what it gets, upgrades WebSockets and limits no body; HTTPRoute's timeouts are enough. */
export const ciliumGateway: ObjectProfile = {
  name: 'cilium-gateway',
  routedBy: 'objects',
  docs: 'https://docs.cilium.io/en/stable/network/servicemesh/gateway-api/gateway-api/',
  origin: () => 'cilium',
  serviceAnnotations: () => ({}),
  objects: (wayIn) => renderGatewayRoutes(wayIn, { gatewayClassName: 'cilium' }),
  notices: (wayIn) => [
    ...noticeCilium('cilium-gateway', wayIn.limits.readTimeoutSeconds),
    ...noticeAttached('cilium-gateway', wayIn)
  ]
}
