// Streaming through HAProxy Technologies' Kubernetes Ingress Controller.
import { type AnnotationProfile, type Edge, prefixKeys, renderHsts } from './profile.ts'

/** HAProxy passes on what it gets; its timers are what has to be told. */
export const haproxytech: AnnotationProfile = {
  name: 'haproxytech',
  routedBy: 'ingress',
  ingressClassName: 'haproxy',
  docs: 'https://github.com/haproxytech/kubernetes-ingress/blob/master/documentation/annotations.md',
  annotations: (edge) =>
    prefixKeys('haproxy.org/', {
      // 50 s by default, which an answer that is not streamed exceeds.
      'timeout-server': `${edge.limits.readTimeoutSeconds}s`,
      'ssl-redirect': 'true',
      // By default the redirect names 8443, the port of the controller's pods.
      'ssl-redirect-port': '443',
      ...renderAccess(edge)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    `haproxytech: only the controller's ConfigMap has timeout-client, timeout-tunnel and hard-stop-after; set the first two to ${readTimeoutSeconds}s or more (50s and 1h by default), the third to ${drainSeconds}s or more (30m).`
  ]
}

function renderAccess({ hsts, allowFrom }: Edge): Record<string, string> {
  return {
    ...(hsts === undefined ? {} : { 'response-set-header': `Strict-Transport-Security "${renderHsts(hsts)}"` }),
    ...(allowFrom === undefined ? {} : { 'allow-list': allowFrom.join(',') })
  }
}
