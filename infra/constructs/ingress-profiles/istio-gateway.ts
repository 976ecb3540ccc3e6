// Streaming through Istio's Gateway API.
import { noticeAttached, renderGatewayRoutes, targetGateway } from './gateway-routes.ts'
import { noticeIstio, renderDestinationRule } from './istio.ts'
import { noticeOwnPods } from './nginx-gateway-fabric.ts'
import type { ControllerObject, Edge, ObjectProfile } from './profile.ts'

export const istioGateway: ObjectProfile = {
  name: 'istio-gateway',
  routedBy: 'objects',
  docs: 'https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/',
  serviceAnnotations: () => ({}),
  objects: (edge) => [
    ...renderGatewayRoutes(edge, { gatewayClassName: 'istio' }),
    renderDestinationRule(edge),
    ...renderAllowlist(edge)
  ],
  notices: (edge) => [
    noticeIstio('istio-gateway', edge.limits.drainSeconds),
    ...(edge.gateway === undefined ? [noticeOwnPods('istio-gateway', edge.namespace)] : []),
    ...noticeAttached('istio-gateway', edge)
  ]
}

/** At the Gateway: whoever no rule lets in is refused there. */
function renderAllowlist(edge: Edge): ControllerObject[] {
  if (edge.allowFrom === undefined) return []
  const rules = [{ from: [{ source: { remoteIpBlocks: edge.allowFrom } }] }]
  return [
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      name: edge.serviceName,
      body: { spec: { targetRefs: targetGateway(edge), action: 'ALLOW', rules } }
    }
  ]
}
