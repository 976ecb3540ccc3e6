// Streaming through Google's load balancer, made by GKE's Gateway controller.
import { PATHS } from '../../../gateway/contract.ts'
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import { MOST_GOOGLE_DRAIN_SECONDS, noticeGoogle } from './gke.ts'
import type { ControllerObject, Edge, ObjectProfile } from './profile.ts'

const API = 'networking.gke.io/v1'

export const gkeGateway: ObjectProfile = {
  name: 'gke-gateway',
  routedBy: 'objects',
  docs: 'https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources',
  serviceAnnotations: () => ({}),
  objects: (edge) => [
    // The timer is the backend policy's.
    ...renderGatewayRoutes(edge, { gatewayClassName: 'gke-l7-global-external-managed', timeouts: false }),
    renderBackendPolicy(edge),
    renderHealthCheck(edge)
  ],
  notices: (edge) => [...noticeGoogle('gke-gateway', edge.limits.drainSeconds), ...noticeAttached('gke-gateway', edge)]
}

const targetRef = ({ serviceName }: Edge) => ({ group: '', kind: 'Service', name: serviceName })

function renderBackendPolicy(edge: Edge): ControllerObject {
  const { readTimeoutSeconds, drainSeconds } = edge.limits
  return {
    apiVersion: API,
    kind: 'GCPBackendPolicy',
    name: edge.serviceName,
    body: {
      spec: {
        default: {
          // For a whole answer, and a WebSocket's whole life; 30 s by default.
          timeoutSec: readTimeoutSeconds,
          connectionDraining: { drainingTimeoutSec: Math.min(drainSeconds, MOST_GOOGLE_DRAIN_SECONDS) }
        },
        targetRef: targetRef(edge)
      }
    }
  }
}

function renderHealthCheck(edge: Edge): ControllerObject {
  const httpHealthCheck = { port: edge.port, requestPath: PATHS.ready }
  return {
    apiVersion: API,
    kind: 'HealthCheckPolicy',
    name: edge.serviceName,
    body: { spec: { default: { config: { type: 'HTTP', httpHealthCheck } }, targetRef: targetRef(edge) } }
  }
}
