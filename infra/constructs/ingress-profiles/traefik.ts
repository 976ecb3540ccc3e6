// Streaming through Traefik 3.
import { type AnnotationProfile, type ControllerObject, IDLE_CONNECTION_SECONDS, type WayIn } from './profile.ts'

const API = 'traefik.io/v1alpha1'
/** Where Traefik's chart runs it. */
export const TRAEFIK_PODS = { namespace: 'traefik', podLabels: { 'app.kubernetes.io/name': 'traefik' } } as const
const transportName = ({ serviceName }: WayIn) => `${serviceName}-streaming`
const optionsName = ({ serviceName }: WayIn) => `${serviceName}-client-ca`
const reference = ({ namespace }: WayIn, name: string) => `${namespace}-${name}@kubernetescrd`

/**
 * Traefik flushes an event stream at once and has no body limit, so there is no switch to turn; its `buffering`,
 * `compress` and `retry` middlewares are never attached. What can cut an answer is the transport to the gateway, which is
 * set here.
 */
export const traefik: AnnotationProfile = {
  name: 'traefik',
  routedBy: 'ingress',
  ingressClassName: 'traefik',
  docs: 'https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/',
  origin: () => TRAEFIK_PODS,
  annotations: (wayIn) => {
    const middlewares = middlewaresOf(wayIn).map(({ name }) => reference(wayIn, name))
    return {
      'traefik.ingress.kubernetes.io/router.entrypoints': 'websecure',
      'traefik.ingress.kubernetes.io/router.tls': 'true',
      ...(middlewares.length === 0
        ? {}
        : { 'traefik.ingress.kubernetes.io/router.middlewares': middlewares.join(',') }),
      ...(wayIn.clientCaSecretName === undefined
        ? {}
        : { 'traefik.ingress.kubernetes.io/router.tls.options': reference(wayIn, optionsName(wayIn)) })
    }
  },
  certificateAnnotations: {},
  serviceAnnotations: (wayIn) => ({
    'traefik.ingress.kubernetes.io/service.serverstransport': reference(wayIn, transportName(wayIn))
  }),
  objects: (wayIn) => [renderTransport(wayIn), ...middlewaresOf(wayIn), ...tlsOptionsOf(wayIn)],
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    `traefik: on the entry point websecure keep transport.respondingTimeouts.writeTimeout at 0 or ${readTimeoutSeconds}s and more, and let transport.lifeCycle.graceTimeOut be ${drainSeconds}s or more.`,
    'traefik: the provider kubernetesCRD must be on for the ServersTransport, and safeNaming off.',
    'traefik: install every CRD of its chart: while one is missing, used here or not, each request gets 404.'
  ]
}

/** HSTS and the allowlist, each a Middleware. */
export function middlewaresOf({ serviceName, hsts, allowFrom }: WayIn): ControllerObject[] {
  const middleware = (name: string, spec: object): ControllerObject => ({
    apiVersion: API,
    kind: 'Middleware',
    name: `${serviceName}-${name}`,
    body: { spec }
  })
  return [
    // First: nobody else gets as far as a header.
    ...(allowFrom === undefined ? [] : [middleware('allow', { ipAllowList: { sourceRange: allowFrom } })]),
    ...(hsts === undefined
      ? []
      : [
          middleware('hsts', {
            headers: { stsSeconds: hsts.maxAgeSeconds, stsIncludeSubdomains: hsts.includeSubDomains }
          })
        ])
  ]
}

function renderTransport(wayIn: WayIn): ControllerObject {
  return {
    apiVersion: API,
    kind: 'ServersTransport',
    name: transportName(wayIn),
    body: {
      spec: {
        forwardingTimeouts: {
          dialTimeout: '5s',
          // An answer that is not streamed sends its headers at its end.
          responseHeaderTimeout: `${wayIn.limits.readTimeoutSeconds}s`,
          idleConnTimeout: `${IDLE_CONNECTION_SECONDS}s`
        }
      }
    }
  }
}

function tlsOptionsOf(wayIn: WayIn): ControllerObject[] {
  if (wayIn.clientCaSecretName === undefined) return []
  const clientAuth = { secretNames: [wayIn.clientCaSecretName], clientAuthType: 'RequireAndVerifyClientCert' }
  return [{ apiVersion: API, kind: 'TLSOption', name: optionsName(wayIn), body: { spec: { clientAuth } } }]
}
