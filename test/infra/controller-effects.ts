// What each controller makes of its manifests: whether it buffers, its timers and its limits. Sources: the profiles' `docs`.
import type { IngressController } from '../../infra/lib/ingress-controllers.ts'
import { find, type Manifest } from './stacks.ts'

/** A number that is not there is a limit that the controller does not have. */
export interface Effects {
  /** Whether tokens wait; `outside` where that is for whoever runs the controller to set. */
  readonly buffers: boolean | 'outside'
  /** The shortest timer that can end an answer. */
  readonly readSeconds: number
  readonly maxBody: number
  readonly webSocket: boolean
  /** The timer for a WebSocket's whole life, where the controller has one. */
  readonly webSocketSeconds?: number
  /** How long a target that is going keeps its streams, where manifests say it. */
  readonly drainSeconds?: number
  /** How long a connection to the gateway waits for its next request; 60 s unless it is said here. */
  readonly keepsSeconds?: number
}

const NONE = Number.POSITIVE_INFINITY
const seconds = (text: string | undefined) => Number(/^(\d+)s$/.exec(text ?? '')?.[1])

function annotations(
  manifests: readonly Manifest[],
  kind: string,
  prefix: string
): (key: string) => string | undefined {
  const found = find(manifests, kind, 'gateway').metadata.annotations ?? {}
  return (key) => found[prefix + key]
}

/** `idle_timeout.timeout_seconds=60` */
const attribute = (text: string | undefined, key: string) =>
  Number(new RegExp(`(?:^|,)${key.replaceAll('.', '\\.')}=(\\d+)(?:,|$)`).exec(text ?? '')?.[1])

/** HTTPRoute's timers; without any the policy beside it has them. */
function routeSeconds(manifests: readonly Manifest[]): number {
  const [{ timeouts }] = find(manifests, 'HTTPRoute', 'gateway').spec.rules
  return timeouts === undefined ? NONE : Math.min(seconds(timeouts.request), seconds(timeouts.backendRequest))
}

/** Google's load balancers keep a connection for so long, and nothing changes it. */
const GOOGLE_SECONDS = 600

function istioSeconds(manifests: readonly Manifest[]): number {
  return seconds(find(manifests, 'DestinationRule', 'gateway').spec.trafficPolicy.connectionPool.http.idleTimeout)
}

function kongEffects(manifests: readonly Manifest[], kind: string): Effects {
  const route = annotations(manifests, kind, 'konghq.com/')
  const service = annotations(manifests, 'Service', 'konghq.com/')
  return {
    buffers: route('response-buffering') !== 'false' || route('request-buffering') !== 'false',
    readSeconds: Math.min(Number(service('read-timeout')), Number(service('write-timeout'))) / 1000,
    maxBody: NONE,
    webSocket: true
  }
}

/** A proxy that passes on what it gets and limits no body: its timers are all that can be wrong. */
const passes = (readSeconds: number, drainSeconds?: number): Effects => ({
  buffers: false,
  readSeconds,
  maxBody: NONE,
  webSocket: true,
  ...(drainSeconds === undefined ? {} : { drainSeconds })
})

export const EFFECTS: Readonly<Record<IngressController, (manifests: readonly Manifest[]) => Effects>> = {
  agic: (manifests) => {
    const get = annotations(manifests, 'Ingress', 'appgw.ingress.kubernetes.io/')
    return {
      buffers: 'outside',
      readSeconds: Number(get('request-timeout')),
      maxBody: NONE,
      webSocket: true,
      drainSeconds: get('connection-draining') === 'true' ? Number(get('connection-draining-timeout')) : 0
    }
  },
  alb: (manifests) => {
    const get = annotations(manifests, 'Ingress', 'alb.ingress.kubernetes.io/')
    const idleSeconds = attribute(get('load-balancer-attributes'), 'idle_timeout.timeout_seconds')
    const drainSeconds = attribute(get('target-group-attributes'), 'deregistration_delay.timeout_seconds')
    return { ...passes(idleSeconds, drainSeconds), keepsSeconds: idleSeconds }
  },
  cilium: (manifests) => passes(seconds(annotations(manifests, 'Ingress', 'ingress.cilium.io/')('request-timeout'))),
  'cilium-gateway': (manifests) => passes(routeSeconds(manifests)),
  contour: (manifests) => {
    const [route] = find(manifests, 'HTTPProxy', 'gateway').spec.routes
    const { response, idle, idleConnection } = route.timeoutPolicy
    return {
      ...passes(Math.min(seconds(response), seconds(idle))),
      webSocket: route.enableWebsockets === true,
      keepsSeconds: seconds(idleConnection)
    }
  },
  'envoy-gateway': (manifests) => {
    const { timeout, httpUpgrade, requestBuffer } = find(manifests, 'BackendTrafficPolicy', 'gateway').spec
    const client = find(manifests, 'ClientTrafficPolicy', 'gateway').spec.timeout.http
    const { drainTimeout } = find(manifests, 'EnvoyProxy', 'gateway').spec.shutdown
    const timers = [routeSeconds(manifests), seconds(timeout.http.requestTimeout), seconds(client.streamIdleTimeout)]
    return {
      ...passes(Math.min(...timers), seconds(drainTimeout)),
      buffers: requestBuffer !== undefined,
      keepsSeconds: seconds(timeout.http.connectionIdleTimeout),
      webSocket: httpUpgrade.some(({ type }: Manifest) => type === 'websocket')
    }
  },
  'f5-nginx': (manifests) => {
    const get = annotations(manifests, 'Ingress', 'nginx.org/')
    return {
      buffers: get('proxy-buffering') !== 'False',
      readSeconds: Math.min(seconds(get('proxy-read-timeout')), seconds(get('proxy-send-timeout'))),
      maxBody: Number(get('client-max-body-size')),
      webSocket: get('websocket-services') === 'gateway'
    }
  },
  'gateway-api': (manifests) => ({ ...passes(routeSeconds(manifests)), buffers: 'outside' }),
  gke: (manifests) => {
    const { timeoutSec, connectionDraining } = find(manifests, 'BackendConfig', 'gateway').spec
    const get = annotations(manifests, 'Service', 'cloud.google.com/')
    const attached = JSON.parse(get('backend-config') ?? '{}').default === 'gateway'
    return {
      ...passes(attached ? timeoutSec : 30, connectionDraining.drainingTimeoutSec),
      webSocketSeconds: timeoutSec,
      keepsSeconds: GOOGLE_SECONDS
    }
  },
  'gke-gateway': (manifests) => {
    const { default: policy, targetRef } = find(manifests, 'GCPBackendPolicy', 'gateway').spec
    const attached = targetRef.kind === 'Service' && targetRef.name === 'gateway'
    return {
      ...passes(attached ? policy.timeoutSec : 30, policy.connectionDraining.drainingTimeoutSec),
      webSocketSeconds: policy.timeoutSec,
      keepsSeconds: GOOGLE_SECONDS
    }
  },
  'haproxy-ingress': (manifests) => {
    const get = annotations(manifests, 'Ingress', 'haproxy-ingress.github.io/')
    const timers = [seconds(get('timeout-server')), seconds(get('timeout-tunnel'))]
    return {
      ...passes(Math.min(...timers)),
      buffers: get('config-backend') !== 'option http-no-delay',
      maxBody: Number(get('proxy-body-size'))
    }
  },
  haproxytech: (manifests) => {
    const get = annotations(manifests, 'Ingress', 'haproxy.org/')
    const buffers = get('backend-config-snippet') !== 'option http-no-delay'
    return { ...passes(seconds(get('timeout-server'))), buffers }
  },
  'ingress-nginx': (manifests) => {
    const get = annotations(manifests, 'Ingress', 'nginx.ingress.kubernetes.io/')
    return {
      buffers: get('proxy-buffering') !== 'off' || get('proxy-request-buffering') !== 'off',
      readSeconds: Math.min(Number(get('proxy-read-timeout')), Number(get('proxy-send-timeout'))),
      maxBody: Number(get('proxy-body-size')),
      webSocket: true
    }
  },
  istio: (manifests) => ({
    ...passes(seconds(find(manifests, 'VirtualService', 'gateway').spec.http[0].timeout)),
    keepsSeconds: istioSeconds(manifests)
  }),
  'istio-gateway': (manifests) => ({ ...passes(routeSeconds(manifests)), keepsSeconds: istioSeconds(manifests) }),
  kong: (manifests) => kongEffects(manifests, 'Ingress'),
  'kong-gateway': (manifests) => kongEffects(manifests, 'HTTPRoute'),
  'nginx-gateway-fabric': (manifests) => {
    const { buffering, timeout, targetRefs } = find(manifests, 'ProxySettingsPolicy', 'gateway').spec
    const attached = targetRefs.some(({ kind, name }: Manifest) => kind === 'HTTPRoute' && name === 'gateway')
    const { maxSize } = find(manifests, 'ClientSettingsPolicy', 'gateway').spec.body
    return {
      buffers: !attached || buffering.disable !== true,
      readSeconds: Math.min(seconds(timeout.read), seconds(timeout.send)),
      maxBody: Number(/^(\d+)k$/.exec(maxSize)?.[1]) * 1024,
      webSocket: true
    }
  },
  traefik: (manifests) => {
    const transport = find(manifests, 'ServersTransport', 'gateway-streaming')
    const get = annotations(manifests, 'Service', 'traefik.ingress.kubernetes.io/')
    const attached = get('service.serverstransport') === 'sluice-gateway-streaming@kubernetescrd'
    const middlewares = annotations(manifests, 'Ingress', 'traefik.ingress.kubernetes.io/')('router.middlewares')
    return {
      ...passes(attached ? seconds(transport.spec.forwardingTimeouts.responseHeaderTimeout) : 0),
      buffers: middlewares !== undefined
    }
  },
  'traefik-gateway': (manifests) => ({
    ...passes(routeSeconds(manifests)),
    buffers: manifests.some(({ kind, spec }) => kind === 'Middleware' && ('buffering' in spec || 'compress' in spec))
  })
}
