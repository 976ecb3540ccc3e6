// Streaming through HAProxy Ingress, the community's controller.
import { type AnnotationProfile, type Edge, prefixKeys } from './profile.ts'

/** HAProxy passes on what it gets; its timers are what has to be told. */
export const haproxyIngress: AnnotationProfile = {
  name: 'haproxy-ingress',
  routedBy: 'ingress',
  ingressClassName: 'haproxy',
  docs: 'https://haproxy-ingress.github.io/docs/configuration/keys/',
  annotations: (edge) =>
    prefixKeys('haproxy-ingress.github.io/', {
      // 50 s by default, which an answer that is not streamed exceeds.
      'timeout-server': `${edge.limits.readTimeoutSeconds}s`,
      // What a WebSocket may be silent for.
      'timeout-tunnel': `${edge.limits.readTimeoutSeconds}s`,
      'proxy-body-size': String(edge.limits.maxBodyBytes),
      'ssl-redirect': 'true',
      ...renderAccess(edge)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    `haproxy-ingress: only the controller's ConfigMap has timeout-client and timeout-stop; set the first to ${readTimeoutSeconds}s or more (50s by default), and the second, if at all, to ${drainSeconds}s or more.`
  ]
}

/** Without `hsts` the controller's own default stays: it sends the header. */
function renderAccess({ hsts, allowFrom, clientCaSecretName }: Edge): Record<string, string> {
  return {
    ...(hsts === undefined
      ? {}
      : {
          hsts: 'true',
          'hsts-max-age': String(hsts.maxAgeSeconds),
          'hsts-include-subdomains': String(hsts.includeSubDomains)
        }),
    ...(allowFrom === undefined ? {} : { 'allowlist-source-range': allowFrom.join(',') }),
    ...(clientCaSecretName === undefined
      ? {}
      : { 'auth-tls-secret': clientCaSecretName, 'auth-tls-verify-client': 'on' })
  }
}
