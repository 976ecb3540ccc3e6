// Streaming through NGINX Gateway Fabric.
import { noticeAttached, noticeOwnPods, proxiesOf, renderGatewayRoutes, targetRoutes } from './gateway-routes.ts'
import type { ControllerObject, ObjectProfile, WayIn } from './profile.ts'

const API = 'gateway.nginx.org/v1alpha1'
/** Numbers in NGINX Gateway Fabric's policies have four digits at most (config/crd/bases in its repository). */
const MOST_DIGITS = 9999

/** WebSockets need nothing here: NGINX is told to pass an upgrade on wherever a client asks for one. */
export const nginxGatewayFabric: ObjectProfile = {
  name: 'nginx-gateway-fabric',
  routedBy: 'objects',
  docs: 'https://docs.nginx.com/nginx-gateway-fabric/traffic-management/proxy-settings/',
  origin: (wayIn) => ({
    ...proxiesOf(wayIn),
    controlPlane: {
      namespace: 'nginx-gateway',
      podLabels: { 'app.kubernetes.io/name': 'nginx-gateway-fabric' },
      port: 8443
    }
  }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => [
    // It ignores HTTPRoute's timeouts, so the policy has them.
    ...renderGatewayRoutes(wayIn, { gatewayClassName: 'nginx', timeouts: false }),
    renderProxyPolicy(wayIn),
    ...targetRoutes(wayIn).map((targetRef) => renderClientPolicy(wayIn, targetRef))
  ],
  notices: (wayIn) => [
    'nginx-gateway-fabric: ProxySettingsPolicy needs release 2.4 or newer, its timeout a later one; an API server that does not know the field refuses it or drops it, and an answer that is not streamed is then cut after 60 s.',
    `nginx-gateway-fabric: let terminationGracePeriodSeconds of NGINX's pods be ${wayIn.limits.drainSeconds}s or more (spec.kubernetes of the NginxProxy).`,
    ...(wayIn.gateway === undefined ? [noticeOwnPods('nginx-gateway-fabric', wayIn.namespace)] : []),
    ...noticeAttached('nginx-gateway-fabric', wayIn)
  ]
}

function renderProxyPolicy(wayIn: WayIn): ControllerObject {
  const timeout = renderDuration(wayIn.limits.readTimeoutSeconds)
  return {
    apiVersion: API,
    kind: 'ProxySettingsPolicy',
    name: wayIn.serviceName,
    body: {
      spec: {
        targetRefs: targetRoutes(wayIn),
        // On by default: NGINX would collect tokens until its buffers are full.
        buffering: { disable: true },
        timeout: { connect: '5s', read: timeout, send: timeout }
      }
    }
  }
}

function renderClientPolicy({ limits }: WayIn, targetRef: { name: string }): ControllerObject {
  return {
    apiVersion: API,
    kind: 'ClientSettingsPolicy',
    name: targetRef.name,
    body: { spec: { targetRef, body: { maxSize: renderSize(limits.maxBodyBytes) } } }
  }
}

/** NGINX's durations, rounded up to a unit in which they have four digits. */
function renderDuration(seconds: number): string {
  return seconds <= MOST_DIGITS ? `${seconds}s` : `${Math.ceil(seconds / 60)}m`
}

/** NGINX's sizes, rounded up to a unit in which they have four digits. */
function renderSize(bytes: number): string {
  const kibibytes = Math.ceil(bytes / 1024)
  return kibibytes <= MOST_DIGITS ? `${kibibytes}k` : `${Math.ceil(kibibytes / 1024)}m`
}
