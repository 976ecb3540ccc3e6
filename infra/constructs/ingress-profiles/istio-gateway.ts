// Streaming through Istio's Gateway API.
import { noticeAttached, noticeOwnPods, proxiesOf, renderGatewayRoutes, targetGateway } from './gateway-routes.ts'
import { noticeIstio, renderDestinationRule } from './istio.ts'
import type { ControllerObject, ObjectProfile, WayIn } from './profile.ts'

export const istioGateway: ObjectProfile = {
  name: 'istio-gateway',
  routedBy: 'objects',
  docs: 'https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/',
  origin: (wayIn) => ({
    ...proxiesOf(wayIn),
    controlPlane: { namespace: 'istio-system', podLabels: { app: 'istiod' }, port: 15_012 }
  }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => [
    ...renderGatewayRoutes(wayIn, { gatewayClassName: 'istio' }),
    renderDestinationRule(wayIn),
    ...renderAllowlist(wayIn)
  ],
  notices: (wayIn) => [
    noticeIstio('istio-gateway', wayIn.limits.drainSeconds),
    ...(wayIn.gateway === undefined ? [noticeOwnPods('istio-gateway', wayIn.namespace)] : []),
    ...noticeAttached('istio-gateway', wayIn)
  ]
}

/** At the Gateway: whoever no rule lets in is refused there. */
function renderAllowlist(wayIn: WayIn): ControllerObject[] {
  if (wayIn.allowFrom === undefined) return []
  const rules = [{ from: [{ source: { remoteIpBlocks: wayIn.allowFrom } }] }]
  return [
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      name: wayIn.serviceName,
      body: { spec: { targetRefs: targetGateway(wayIn), action: 'ALLOW', rules } }
    }
  ]
}
