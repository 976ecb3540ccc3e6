// Streaming through F5's NGINX Ingress Controller.
import { type AnnotationProfile, type ControllerObject, prefixKeys, type WayIn } from './profile.ts'

export const f5Nginx: AnnotationProfile = {
  name: 'f5-nginx',
  routedBy: 'ingress',
  ingressClassName: 'nginx',
  docs: 'https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/advanced-configuration-with-annotations/',
  origin: () => ({ namespace: 'nginx-ingress', podLabels: { 'app.kubernetes.io/name': 'nginx-ingress' } }),
  annotations: (wayIn) =>
    prefixKeys('nginx.org/', {
      // On by default here: NGINX would collect tokens until its buffers are full.
      'proxy-buffering': 'False',
      'client-max-body-size': String(wayIn.limits.maxBodyBytes),
      'proxy-read-timeout': `${wayIn.limits.readTimeoutSeconds}s`,
      'proxy-send-timeout': `${wayIn.limits.readTimeoutSeconds}s`,
      // Upgrade headers are passed on for the Services named here only.
      'websocket-services': wayIn.serviceName,
      ...renderHsts(wayIn),
      ...renderPolicies(wayIn)
    }),
  // Of two Ingresses of one host this controller takes the older, so a challenge has to go into this one; the temporary
  // certificate that cert-manager then makes gets the challenge through the redirect to TLS.
  certificateAnnotations: { 'acme.cert-manager.io/http01-edit-in-place': 'true' },
  serviceAnnotations: () => ({}),
  objects: (wayIn) => policiesOf(wayIn),
  notices: (wayIn) => [
    `f5-nginx: if the controller's ConfigMap sets worker-shutdown-timeout, let it be ${wayIn.limits.drainSeconds}s or more; a reload cuts longer streams otherwise.`,
    ...(wayIn.hsts === undefined
      ? []
      : ['f5-nginx: it writes preload into the HSTS header, too; that submits nothing.']),
    ...(policiesOf(wayIn).length === 0
      ? []
      : [
          'f5-nginx: Policies on an Ingress need release 5.4 or newer; an older one ignores them and lets everybody in.'
        ]),
    ...(wayIn.clientCaSecretName === undefined
      ? []
      : [`f5-nginx: the Secret ${wayIn.clientCaSecretName} has to be of type nginx.org/ca.`])
  ]
}

function renderHsts({ hsts }: WayIn): Record<string, string> {
  if (hsts === undefined) return {}
  return {
    hsts: 'True',
    'hsts-max-age': String(hsts.maxAgeSeconds),
    'hsts-include-subdomains': hsts.includeSubDomains ? 'True' : 'False'
  }
}

function renderPolicies(wayIn: WayIn): Record<string, string> {
  const names = policiesOf(wayIn).map(({ name }) => name)
  return names.length === 0 ? {} : { policies: names.join(',') }
}

/** One policy an object: the controller refuses two in one. */
function policiesOf({ serviceName, allowFrom, clientCaSecretName }: WayIn): ControllerObject[] {
  const policy = (name: string, spec: object): ControllerObject => ({
    apiVersion: 'k8s.nginx.org/v1',
    kind: 'Policy',
    name: `${serviceName}-${name}`,
    body: { spec }
  })
  return [
    ...(allowFrom === undefined ? [] : [policy('allow', { accessControl: { allow: allowFrom } })]),
    ...(clientCaSecretName === undefined
      ? []
      : [policy('client-ca', { ingressMTLS: { clientCertSecret: clientCaSecretName, verifyClient: 'on' } })])
  ]
}
