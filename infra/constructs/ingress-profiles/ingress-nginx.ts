// Streaming through ingress-nginx, the Kubernetes project's retired controller.
import type { IngressProfile } from './profile.ts'

export const ingressNginx: IngressProfile = {
  name: 'ingress-nginx',
  ingressClassName: 'nginx',
  controllerPods: {
    namespace: 'ingress-nginx',
    podLabels: { 'app.kubernetes.io/name': 'ingress-nginx', 'app.kubernetes.io/component': 'controller' }
  },
  docs: 'https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/',
  annotations: ({ readTimeoutSeconds, maxBodyBytes }) =>
    Object.fromEntries(
      Object.entries({
        'proxy-buffering': 'off',
        // A long prompt reaches the gateway while it is sent, and no temporary file is written.
        'proxy-request-buffering': 'off',
        'proxy-http-version': '1.1',
        'proxy-body-size': String(maxBodyBytes),
        // Without a unit: seconds. The default of 60 cuts an answer that is not streamed.
        'proxy-read-timeout': String(readTimeoutSeconds),
        'proxy-send-timeout': String(readTimeoutSeconds),
        // The gateway retries itself, and knows what was sent already.
        'proxy-next-upstream': 'off',
        'ssl-redirect': 'true'
      }).map(([key, value]) => [`nginx.ingress.kubernetes.io/${key}`, value])
    ),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ drainSeconds }) => [
    'ingress-nginx is retired: no release and no security fix since March 2026. Move to controller f5-nginx, or to traefik, which reads these annotations too while you migrate.',
    `ingress-nginx: set worker-shutdown-timeout in the controller's ConfigMap to ${drainSeconds}s or more; its 240s cut longer streams on every reload.`
  ]
}
