// Streaming through Kong's Ingress Controller.
import { type AnnotationProfile, type ControllerObject, prefixKeys, renderHsts, type WayIn } from './profile.ts'

/** Where Kong's charts run it; the name of its pods differs between them. */
export const KONG_PODS = { namespace: 'kong', podLabels: { 'app.kubernetes.io/component': 'app' } } as const

export const kong: AnnotationProfile = {
  name: 'kong',
  routedBy: 'ingress',
  ingressClassName: 'kong',
  docs: 'https://developer.konghq.com/kubernetes-ingress-controller/reference/annotations/',
  origin: () => KONG_PODS,
  annotations: (wayIn) =>
    prefixKeys('konghq.com/', {
      ...kongRouteAnnotations(wayIn),
      protocols: 'https',
      'https-redirect-status-code': '308'
    }),
  certificateAnnotations: {},
  serviceAnnotations: (wayIn) => kongServiceAnnotations(wayIn),
  objects: (wayIn) => kongPluginsOf(wayIn),
  notices: ({ limits }) => noticeKong('kong', limits.drainSeconds)
}

/** What Kong reads at a route, be it an Ingress or an HTTPRoute, without the prefix. */
export function kongRouteAnnotations(wayIn: WayIn): Record<string, string> {
  const plugins = kongPluginsOf(wayIn).map(({ name }) => name)
  return {
    // Both on by default: Kong's nginx would collect tokens, and a whole prompt before it sends the first byte.
    'response-buffering': 'false',
    'request-buffering': 'false',
    ...(plugins.length === 0 ? {} : { plugins: plugins.join(',') })
  }
}

/** Kong has its timers at the Service, in milliseconds. */
export function kongServiceAnnotations({ limits }: WayIn): Record<string, string> {
  const milliseconds = String(limits.readTimeoutSeconds * 1000)
  return prefixKeys('konghq.com/', {
    'connect-timeout': '5000',
    'read-timeout': milliseconds,
    'write-timeout': milliseconds,
    // Five by default, POST included: after a timeout the same answer would be generated again.
    retries: '0'
  })
}

/** The allowlist and HSTS, each a plugin. */
export function kongPluginsOf({ serviceName, hsts, allowFrom }: WayIn): ControllerObject[] {
  const attach = (name: string, plugin: string, config: object): ControllerObject => ({
    apiVersion: 'configuration.konghq.com/v1',
    kind: 'KongPlugin',
    name: `${serviceName}-${name}`,
    body: { plugin, config }
  })
  return [
    ...(allowFrom === undefined ? [] : [attach('allow', 'ip-restriction', { allow: allowFrom })]),
    ...(hsts === undefined
      ? []
      : [
          attach('hsts', 'response-transformer', {
            add: { headers: [`Strict-Transport-Security:${renderHsts(hsts)}`] }
          })
        ])
  ]
}

/** What Kong's own pods have to be told. */
export function noticeKong(name: string, drainSeconds: number): string[] {
  return [
    `${name}: let terminationGracePeriodSeconds of Kong's pods, and the timeout of "kong quit" in their preStop, be ${drainSeconds}s or more.`,
    `${name}: if nginx_http_client_max_body_size is set for Kong (unlimited by default), let it be the gateway's maxBodyBytes or more.`
  ]
}
