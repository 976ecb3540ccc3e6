// Streaming through HAProxy Technologies' Kubernetes Ingress Controller.
import { type AnnotationProfile, prefixKeys, renderHsts, type WayIn } from './profile.ts'

/**
 * HAProxy passes on what it gets, but lets the kernel hold small pieces back for up to 200 ms to fill packets, unless
 * `option http-no-delay` says that each matters: https://docs.haproxy.org/2.6/configuration.html#option%20http-no-delay
 */
export const haproxytech: AnnotationProfile = {
  name: 'haproxytech',
  routedBy: 'ingress',
  ingressClassName: 'haproxy',
  docs: 'https://github.com/haproxytech/kubernetes-ingress/blob/master/documentation/annotations.md',
  origin: () => ({ namespace: 'haproxy-controller', podLabels: { 'app.kubernetes.io/name': 'kubernetes-ingress' } }),
  annotations: (wayIn) =>
    prefixKeys('haproxy.org/', {
      // 50 s by default, which an answer that is not streamed exceeds.
      'timeout-server': `${wayIn.limits.readTimeoutSeconds}s`,
      'backend-config-snippet': 'option http-no-delay',
      'ssl-redirect': 'true',
      // By default the redirect names 8443, the port of the controller's pods.
      'ssl-redirect-port': '443',
      ...renderAccess(wayIn)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    'haproxytech: the controller must allow snippets (--disable-config-snippets must name neither backend nor all), or tokens arrive in lumps of 200 ms.',
    `haproxytech: only the controller's ConfigMap has hard-stop-after and timeout-tunnel; let the first be ${drainSeconds}s or more (30m by default), and the second, for WebSockets, ${readTimeoutSeconds}s or more (1h).`
  ]
}

function renderAccess({ hsts, allowFrom }: WayIn): Record<string, string> {
  return {
    ...(hsts === undefined ? {} : { 'response-set-header': `Strict-Transport-Security "${renderHsts(hsts)}"` }),
    ...(allowFrom === undefined ? {} : { 'allow-list': allowFrom.join(',') })
  }
}
