// Streaming through ingress-nginx, the Kubernetes project's retired controller.
import { type AnnotationProfile, prefixKeys, type WayIn } from './profile.ts'

export const ingressNginx: AnnotationProfile = {
  name: 'ingress-nginx',
  routedBy: 'ingress',
  ingressClassName: 'nginx',
  docs: 'https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/',
  origin: () => ({
    namespace: 'ingress-nginx',
    podLabels: { 'app.kubernetes.io/name': 'ingress-nginx', 'app.kubernetes.io/component': 'controller' }
  }),
  annotations: (wayIn) =>
    prefixKeys('nginx.ingress.kubernetes.io/', {
      'proxy-buffering': 'off',
      // A long prompt reaches the gateway while it is sent, and no temporary file is written.
      'proxy-request-buffering': 'off',
      'proxy-http-version': '1.1',
      'proxy-body-size': String(wayIn.limits.maxBodyBytes),
      // Without a unit: seconds. The default of 60 cuts an answer that is not streamed.
      'proxy-read-timeout': String(wayIn.limits.readTimeoutSeconds),
      'proxy-send-timeout': String(wayIn.limits.readTimeoutSeconds),
      // The gateway retries itself, and knows what was sent already.
      'proxy-next-upstream': 'off',
      'ssl-redirect': 'true',
      ...renderAccess(wayIn)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits }) => [
    'ingress-nginx is retired: no release and no security fix since March 2026. Move to controller f5-nginx, or to traefik, which reads these annotations too while you migrate.',
    `ingress-nginx: set worker-shutdown-timeout in the controller's ConfigMap to ${limits.drainSeconds}s or more; its 240s cut longer streams on every reload.`
  ]
}

function renderAccess({ namespace, allowFrom, clientCaSecretName }: WayIn): Record<string, string> {
  return {
    ...(allowFrom === undefined ? {} : { 'whitelist-source-range': allowFrom.join(',') }),
    ...(clientCaSecretName === undefined
      ? {}
      : { 'auth-tls-secret': `${namespace}/${clientCaSecretName}`, 'auth-tls-verify-client': 'on' })
  }
}
