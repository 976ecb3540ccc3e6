// Streaming through HAProxy Ingress, the community's controller.
import { type AnnotationProfile, prefixKeys, type WayIn } from './profile.ts'

/**
 * HAProxy passes on what it gets, but lets the kernel hold small pieces back for up to 200 ms to fill packets, unless
 * `option http-no-delay` says that each matters: https://docs.haproxy.org/2.6/configuration.html#option%20http-no-delay
 */
export const haproxyIngress: AnnotationProfile = {
  name: 'haproxy-ingress',
  routedBy: 'ingress',
  ingressClassName: 'haproxy',
  docs: 'https://haproxy-ingress.github.io/docs/configuration/keys/',
  origin: () => ({ namespace: 'ingress-controller', podLabels: { 'app.kubernetes.io/name': 'haproxy-ingress' } }),
  annotations: (wayIn) =>
    prefixKeys('haproxy-ingress.github.io/', {
      // 50 s by default, which an answer that is not streamed exceeds.
      'timeout-server': `${wayIn.limits.readTimeoutSeconds}s`,
      // What a WebSocket may be silent for.
      'timeout-tunnel': `${wayIn.limits.readTimeoutSeconds}s`,
      'proxy-body-size': String(wayIn.limits.maxBodyBytes),
      'config-backend': 'option http-no-delay',
      'ssl-redirect': 'true',
      ...renderAccess(wayIn)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits: { drainSeconds } }) => [
    'haproxy-ingress: the controller must allow the keyword option in config-backend (--disable-config-keywords must not name it, nor be *), or tokens arrive in lumps of 200 ms.',
    `haproxy-ingress: if the controller's ConfigMap sets timeout-stop, let it be ${drainSeconds}s or more; a reload cuts longer streams otherwise.`
  ]
}

/** Without `hsts` the controller's own default stays: it sends the header. */
function renderAccess({ hsts, allowFrom, clientCaSecretName }: WayIn): Record<string, string> {
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
