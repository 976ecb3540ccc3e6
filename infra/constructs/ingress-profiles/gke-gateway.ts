// Streaming through Google's load balancer, made by GKE's Gateway controller.
import { PATHS } from '../../../gateway/contract.ts'
import { noticeAttached, renderGatewayRoutes } from './gateway-routes.ts'
import { GOOGLE_KEEPS_SECONDS, googleOrigin, MOST_GOOGLE_DRAIN_SECONDS } from './gke.ts'
import { type ControllerObject, noticeLimit, type ObjectProfile, type WayIn } from './profile.ts'

const API = 'networking.gke.io/v1'
const GATEWAY_CLASS = 'gke-l7-global-external-managed'

export const gkeGateway: ObjectProfile = {
  name: 'gke-gateway',
  routedBy: 'objects',
  docs: 'https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources',
  origin: ({ className = GATEWAY_CLASS, gateway }) => ({
    ...googleOrigin(/-(global|gxlb)/.test(className) ? 'global' : 'regional'),
    ...(gateway === undefined
      ? {}
      : {
          guess: `the Gateway ${gateway.name} is taken for a global one, and a regional one's proxies are in its proxy-only subnet`
        })
  }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => [
    // The timer is the backend policy's.
    ...renderGatewayRoutes(wayIn, { gatewayClassName: GATEWAY_CLASS, timeouts: false }),
    renderBackendPolicy(wayIn),
    renderHealthCheck(wayIn)
  ],
  keepsConnectionsSeconds: () => GOOGLE_KEEPS_SECONDS,
  notices: (wayIn) => [
    ...noticeLimit('gke-gateway', 'connection draining', wayIn.limits.drainSeconds, MOST_GOOGLE_DRAIN_SECONDS),
    ...noticeAttached('gke-gateway', wayIn)
  ]
}

const targetRef = ({ serviceName }: WayIn) => ({ group: '', kind: 'Service', name: serviceName })

function renderBackendPolicy(wayIn: WayIn): ControllerObject {
  const { readTimeoutSeconds, drainSeconds, webSocketSeconds = readTimeoutSeconds } = wayIn.limits
  return {
    apiVersion: API,
    kind: 'GCPBackendPolicy',
    name: wayIn.serviceName,
    body: {
      spec: {
        default: {
          // For a whole answer, and a WebSocket's whole life; 30 s by default.
          timeoutSec: webSocketSeconds,
          connectionDraining: { drainingTimeoutSec: Math.min(drainSeconds, MOST_GOOGLE_DRAIN_SECONDS) }
        },
        targetRef: targetRef(wayIn)
      }
    }
  }
}

function renderHealthCheck(wayIn: WayIn): ControllerObject {
  const httpHealthCheck = { port: wayIn.port, requestPath: PATHS.ready }
  return {
    apiVersion: API,
    kind: 'HealthCheckPolicy',
    name: wayIn.serviceName,
    body: { spec: { default: { config: { type: 'HTTP', httpHealthCheck } }, targetRef: targetRef(wayIn) } }
  }
}
