// Streaming through Google's load balancer, made by GKE's Ingress controller.
import { PATHS } from '../../../gateway/contract.ts'
import { PRIVATE_NETWORKS } from '../../lib/network.ts'
import {
  type AnnotationProfile,
  type ControllerObject,
  noticeLimit,
  type OriginAddresses,
  renderHsts,
  type WayIn
} from './profile.ts'

/** Fixed: https://cloud.google.com/load-balancing/docs/https#timeouts_and_retries */
export const GOOGLE_KEEPS_SECONDS = 600
/** Google's proxies and health checks: https://cloud.google.com/load-balancing/docs/https#firewall-rules */
const GOOGLE_PROXIES = ['35.191.0.0/16', '130.211.0.0/22'] as const
/** https://cloud.google.com/load-balancing/docs/enabling-connection-draining */
export const MOST_GOOGLE_DRAIN_SECONDS = 3600

/**
 * Of a regional load balancer only the health checks come from Google's addresses; its proxies are in a subnet of the
 * region's own network. https://cloud.google.com/load-balancing/docs/proxy-only-subnets
 */
export function googleOrigin(scope: 'global' | 'regional'): OriginAddresses {
  if (scope === 'global') return { cidrs: GOOGLE_PROXIES }
  return {
    cidrs: [...GOOGLE_PROXIES, ...PRIVATE_NETWORKS],
    guess: "every private address is let in, for the load balancer's proxy-only subnet is not known"
  }
}

/** The load balancer passes on what it gets; its timer of 30 s by default is for a whole answer, and a WebSocket's whole life. */
export const gke: AnnotationProfile = {
  name: 'gke',
  routedBy: 'ingress',
  // GKE's controller reads the older annotation only.
  ingressClassName: undefined,
  docs: 'https://cloud.google.com/kubernetes-engine/docs/how-to/ingress-configuration',
  // Of its classes `gce` is the global one, `gce-internal` and `gce-regional-external` are not.
  origin: ({ className = 'gce' }) => googleOrigin(className === 'gce' ? 'global' : 'regional'),
  annotations: (wayIn) => ({
    'kubernetes.io/ingress.class': wayIn.className ?? 'gce',
    'networking.gke.io/v1beta1.FrontendConfig': wayIn.serviceName
  }),
  certificateAnnotations: {
    // cert-manager answers a challenge in the same Ingress: another one would be another load balancer.
    'acme.cert-manager.io/http01-edit-in-place': 'true',
    // Without a certificate there is no load balancer that could answer the challenge.
    'cert-manager.io/issue-temporary-certificate': 'true'
  },
  serviceAnnotations: ({ serviceName }) => ({
    'cloud.google.com/backend-config': JSON.stringify({ default: serviceName }),
    // Straight to the pods, so that a draining one is known to the load balancer.
    'cloud.google.com/neg': JSON.stringify({ ingress: true })
  }),
  objects: (wayIn) => [renderBackendConfig(wayIn), renderFrontendConfig(wayIn)],
  keepsConnectionsSeconds: () => GOOGLE_KEEPS_SECONDS,
  notices: ({ limits, routes }) => [
    ...noticeLimit('gke', 'connection draining', limits.drainSeconds, MOST_GOOGLE_DRAIN_SECONDS),
    ...(routes.length === 1 ? [] : ['gke: each host is an Ingress of its own, and each Ingress a load balancer.'])
  ]
}

function renderBackendConfig({ serviceName, port, limits, hsts }: WayIn): ControllerObject {
  const { readTimeoutSeconds, drainSeconds, webSocketSeconds = readTimeoutSeconds } = limits
  return {
    apiVersion: 'cloud.google.com/v1',
    kind: 'BackendConfig',
    name: serviceName,
    body: {
      spec: {
        timeoutSec: webSocketSeconds,
        connectionDraining: { drainingTimeoutSec: Math.min(drainSeconds, MOST_GOOGLE_DRAIN_SECONDS) },
        healthCheck: { type: 'HTTP', requestPath: PATHS.ready, port },
        ...(hsts === undefined
          ? {}
          : { customResponseHeaders: { headers: [`Strict-Transport-Security: ${renderHsts(hsts)}`] } })
      }
    }
  }
}

function renderFrontendConfig({ serviceName }: WayIn): ControllerObject {
  return {
    apiVersion: 'networking.gke.io/v1beta1',
    kind: 'FrontendConfig',
    name: serviceName,
    body: { spec: { redirectToHttps: { enabled: true } } }
  }
}
