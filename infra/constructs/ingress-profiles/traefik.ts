// Streaming through Traefik 3.
import type { Backend, IngressProfile } from './profile.ts'

/** Below the gateway's own keep-alive of 75 s, so a connection is never reused at the moment it is closed. */
const IDLE_CONNECTION_SECONDS = 60

const transportName = ({ serviceName }: Backend) => `${serviceName}-streaming`

/**
 * Traefik flushes an event stream at once and has no body limit, so there is no switch to turn; its `buffering` and
 * `retry` middlewares are never attached. What can cut an answer is the transport to the gateway, which is set here.
 */
export const traefik: IngressProfile = {
  name: 'traefik',
  ingressClassName: 'traefik',
  controllerPods: { namespace: 'traefik', podLabels: { 'app.kubernetes.io/name': 'traefik' } },
  docs: 'https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/',
  annotations: () => ({
    'traefik.ingress.kubernetes.io/router.entrypoints': 'websecure',
    'traefik.ingress.kubernetes.io/router.tls': 'true'
  }),
  certificateAnnotations: {},
  serviceAnnotations: (_limits, backend) => ({
    'traefik.ingress.kubernetes.io/service.serverstransport': `${backend.namespace}-${transportName(backend)}@kubernetescrd`
  }),
  objects: ({ readTimeoutSeconds }, backend) => [
    {
      apiVersion: 'traefik.io/v1alpha1',
      kind: 'ServersTransport',
      name: transportName(backend),
      spec: {
        forwardingTimeouts: {
          dialTimeout: '5s',
          // An answer that is not streamed sends its headers at its end.
          responseHeaderTimeout: `${readTimeoutSeconds}s`,
          idleConnTimeout: `${IDLE_CONNECTION_SECONDS}s`
        }
      }
    }
  ],
  notices: ({ readTimeoutSeconds, drainSeconds }) => [
    `traefik: on the entry point websecure keep transport.respondingTimeouts.writeTimeout at 0 or ${readTimeoutSeconds}s and more, and let transport.lifeCycle.graceTimeOut be ${drainSeconds}s or more.`,
    'traefik: the provider kubernetesCRD must be on for the ServersTransport, and safeNaming off.'
  ]
}
