// Streaming through Traefik 3.
import { type AnnotationProfile, type ControllerObject, type Edge, IDLE_CONNECTION_SECONDS } from './profile.ts'

const API = 'traefik.io/v1alpha1'
const transportName = ({ serviceName }: Edge) => `${serviceName}-streaming`
const optionsName = ({ serviceName }: Edge) => `${serviceName}-client-ca`
const reference = ({ namespace }: Edge, name: string) => `${namespace}-${name}@kubernetescrd`

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
  annotations: (edge) => {
    const middlewares = middlewaresOf(edge).map(({ name }) => reference(edge, name))
    return {
      'traefik.ingress.kubernetes.io/router.entrypoints': 'websecure',
      'traefik.ingress.kubernetes.io/router.tls': 'true',
      ...(middlewares.length === 0
        ? {}
        : { 'traefik.ingress.kubernetes.io/router.middlewares': middlewares.join(',') }),
      ...(edge.clientCaSecretName === undefined
        ? {}
        : { 'traefik.ingress.kubernetes.io/router.tls.options': reference(edge, optionsName(edge)) })
    }
  },
  certificateAnnotations: {},
  serviceAnnotations: (edge) => ({
    'traefik.ingress.kubernetes.io/service.serverstransport': reference(edge, transportName(edge))
  }),
  objects: (edge) => [renderTransport(edge), ...middlewaresOf(edge), ...tlsOptionsOf(edge)],
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    `traefik: on the entry point websecure keep transport.respondingTimeouts.writeTimeout at 0 or ${readTimeoutSeconds}s and more, and let transport.lifeCycle.graceTimeOut be ${drainSeconds}s or more.`,
    'traefik: the provider kubernetesCRD must be on for the ServersTransport, and safeNaming off.'
  ]
}

/** HSTS and the allowlist, each a Middleware. */
export function middlewaresOf({ serviceName, hsts, allowFrom }: Edge): ControllerObject[] {
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

function renderTransport(edge: Edge): ControllerObject {
  return {
    apiVersion: API,
    kind: 'ServersTransport',
    name: transportName(edge),
    body: {
      spec: {
        forwardingTimeouts: {
          dialTimeout: '5s',
          // An answer that is not streamed sends its headers at its end.
          responseHeaderTimeout: `${edge.limits.readTimeoutSeconds}s`,
          idleConnTimeout: `${IDLE_CONNECTION_SECONDS}s`
        }
      }
    }
  }
}

function tlsOptionsOf(edge: Edge): ControllerObject[] {
  if (edge.clientCaSecretName === undefined) return []
  const clientAuth = { secretNames: [edge.clientCaSecretName], clientAuthType: 'RequireAndVerifyClientCert' }
  return [{ apiVersion: API, kind: 'TLSOption', name: optionsName(edge), body: { spec: { clientAuth } } }]
}
