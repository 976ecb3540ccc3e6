// Streaming through Google's load balancer, made by GKE's Ingress controller.
import { PATHS } from '../../../gateway/contract.ts'
import { type AnnotationProfile, type ControllerObject, type Edge, noticeLimit, renderHsts } from './profile.ts'

/** https://cloud.google.com/load-balancing/docs/enabling-connection-draining */
export const MOST_GOOGLE_DRAIN_SECONDS = 3600

/** The load balancer passes on what it gets; its timer of 30 s by default is for a whole answer, and a WebSocket's whole life. */
export const gke: AnnotationProfile = {
  name: 'gke',
  routedBy: 'ingress',
  // GKE's controller reads the older annotation only.
  ingressClassName: undefined,
  docs: 'https://cloud.google.com/kubernetes-engine/docs/how-to/ingress-configuration',
  annotations: (edge) => ({
    'kubernetes.io/ingress.class': edge.className ?? 'gce',
    'networking.gke.io/v1beta1.FrontendConfig': edge.serviceName
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
  objects: (edge) => [renderBackendConfig(edge), renderFrontendConfig(edge)],
  notices: ({ limits, routes }) => [
    ...noticeGoogle('gke', limits.drainSeconds),
    ...(routes.length === 1 ? [] : ['gke: each host is an Ingress of its own, and each Ingress a load balancer.'])
  ]
}

function renderBackendConfig({ serviceName, port, limits, hsts }: Edge): ControllerObject {
  const { readTimeoutSeconds, drainSeconds } = limits
  return {
    apiVersion: 'cloud.google.com/v1',
    kind: 'BackendConfig',
    name: serviceName,
    body: {
      spec: {
        timeoutSec: readTimeoutSeconds,
        connectionDraining: { drainingTimeoutSec: Math.min(drainSeconds, MOST_GOOGLE_DRAIN_SECONDS) },
        healthCheck: { type: 'HTTP', requestPath: PATHS.ready, port },
        ...(hsts === undefined
          ? {}
          : { customResponseHeaders: { headers: [`Strict-Transport-Security: ${renderHsts(hsts)}`] } })
      }
    }
  }
}

function renderFrontendConfig({ serviceName }: Edge): ControllerObject {
  return {
    apiVersion: 'networking.gke.io/v1beta1',
    kind: 'FrontendConfig',
    name: serviceName,
    body: { spec: { redirectToHttps: { enabled: true } } }
  }
}

/** What Google's load balancers have in common. */
export function noticeGoogle(name: string, drainSeconds: number): string[] {
  return [
    `${name}: the load balancer keeps connections to the gateway for 600 s, the gateway closes them after 75 s; a request that meets the close gets 502, so let clients retry it.`,
    ...noticeLimit(name, 'connection draining', drainSeconds, MOST_GOOGLE_DRAIN_SECONDS)
  ]
}
