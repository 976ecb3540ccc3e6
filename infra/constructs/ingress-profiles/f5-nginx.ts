// Streaming through F5's NGINX Ingress Controller.
import type { IngressProfile } from './profile.ts'

export const f5Nginx: IngressProfile = {
  name: 'f5-nginx',
  ingressClassName: 'nginx',
  controllerPods: { namespace: 'nginx-ingress', podLabels: { 'app.kubernetes.io/name': 'nginx-ingress' } },
  docs: 'https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/advanced-configuration-with-annotations/',
  annotations: ({ readTimeoutSeconds, maxBodyBytes }, { serviceName }) =>
    Object.fromEntries(
      Object.entries({
        // On by default here: NGINX would collect tokens until its buffers are full.
        'proxy-buffering': 'False',
        'client-max-body-size': String(maxBodyBytes),
        'proxy-read-timeout': `${readTimeoutSeconds}s`,
        'proxy-send-timeout': `${readTimeoutSeconds}s`,
        // Upgrade headers are passed on for the Services named here only.
        'websocket-services': serviceName
      }).map(([key, value]) => [`nginx.org/${key}`, value])
    ),
  // Of two Ingresses of one host this controller takes the older, so a challenge has to go into this one; the temporary
  // certificate that cert-manager then makes gets the challenge through the redirect to TLS.
  certificateAnnotations: { 'acme.cert-manager.io/http01-edit-in-place': 'true' },
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ drainSeconds }) => [
    `f5-nginx: if the controller's ConfigMap sets worker-shutdown-timeout, let it be ${drainSeconds}s or more; a reload cuts longer streams otherwise.`
  ]
}
