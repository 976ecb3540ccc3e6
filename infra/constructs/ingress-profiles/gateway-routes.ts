// The Gateway API's own objects: a Gateway with a TLS listener for each host, and an HTTPRoute that sends the API to the gateway.
import { type ControllerObject, type OriginPods, publicPaths, type Route, renderHsts, type WayIn } from './profile.ts'

const API = 'gateway.networking.k8s.io/v1'
const GROUP = 'gateway.networking.k8s.io'

/** Where an implementation differs from the plain Gateway API. */
export interface GatewayOptions {
  /** The GatewayClass that the implementation's chart creates. @default none: the stack names it */
  readonly gatewayClassName?: string
  /** The listeners' port. @default 443 */
  readonly port?: number
  /** Whether the implementation has HTTPRoute's timeouts, which are for a whole answer. @default true */
  readonly timeouts?: boolean
  /** Whether HSTS is a ResponseHeaderModifier, or something that the implementation has instead. @default true */
  readonly hstsFilter?: boolean
  /** The implementation's own filters, in the same namespace. @default none */
  readonly extensions?: readonly { readonly group: string; readonly kind: string; readonly name: string }[]
  /** Annotations of each HTTPRoute. @default none */
  readonly annotations?: Readonly<Record<string, string>>
  /** The implementation's own settings of the Gateway. @default none */
  readonly parameters?: { readonly group: string; readonly kind: string; readonly name: string }
}

/** A Gateway, unless one is attached to, and an HTTPRoute a host. */
export function renderGatewayRoutes(wayIn: WayIn, options: GatewayOptions): ControllerObject[] {
  return [
    ...(wayIn.gateway === undefined ? [renderGateway(wayIn, options)] : []),
    ...wayIn.routes.map((route) => renderHttpRoute(wayIn, route, options))
  ]
}

/** What a policy points at: the region's HTTPRoutes. */
export function targetRoutes({ routes }: WayIn): { group: string; kind: string; name: string }[] {
  return routes.map(({ name }) => ({ group: GROUP, kind: 'HTTPRoute', name }))
}

/** What a policy points at: the region's own Gateway; nothing where another one is attached to. */
export function targetGateway({ gateway, serviceName }: WayIn): { group: string; kind: string; name: string }[] {
  return gateway === undefined ? [{ group: GROUP, kind: 'Gateway', name: serviceName }] : []
}

/** What whoever runs the Gateway that is attached to has to see to; nothing where the region has its own. */
export function noticeAttached(name: string, { gateway, namespace, routes }: WayIn): string[] {
  if (gateway === undefined) return []
  const hosts = routes.map(({ host }) => host).join(' and ')
  return [
    `${name}: the Gateway ${gateway.namespace}/${gateway.name} has to end TLS for ${hosts}, and to allow routes of namespace ${namespace}.`
  ]
}

/** Some implementations run a Gateway's proxy beside it. */
export function noticeOwnPods(name: string, namespace: string): string {
  return `${name}: the Gateway's own pods run in namespace ${namespace}, which asks for Pod Security restricted, pinned images and limits of CPU and memory; where they don't keep to it, attach to a Gateway elsewhere by gateway: { name, namespace }.`
}

/** A Gateway's proxies where they run beside it, by the label of https://gateway-api.sigs.k8s.io/geps/gep-1762/. */
export function proxiesOf({ gateway, namespace, serviceName }: WayIn): OriginPods {
  return {
    namespace: gateway?.namespace ?? namespace,
    podLabels: { 'gateway.networking.k8s.io/gateway-name': gateway?.name ?? serviceName }
  }
}

/** There is no listener for plain HTTP: nobody is meant to send an API key over it, not even to be redirected. */
function renderGateway({ serviceName, routes, className }: WayIn, options: GatewayOptions): ControllerObject {
  return {
    apiVersion: API,
    kind: 'Gateway',
    name: serviceName,
    body: {
      spec: {
        gatewayClassName: className ?? options.gatewayClassName,
        ...(options.parameters === undefined ? {} : { infrastructure: { parametersRef: options.parameters } }),
        listeners: routes.map(({ name, host, secretName }) => ({
          name,
          hostname: host,
          port: options.port ?? 443,
          protocol: 'HTTPS',
          tls: { mode: 'Terminate', certificateRefs: [{ group: '', kind: 'Secret', name: secretName }] },
          allowedRoutes: { namespaces: { from: 'Same' } }
        }))
      }
    }
  }
}

/** References hold the defaults of their fields: in a list, a field that the API server adds looks like a change at every apply. */
function renderHttpRoute(wayIn: WayIn, route: Route, options: GatewayOptions): ControllerObject {
  const timeout = `${wayIn.limits.readTimeoutSeconds}s`
  const filters = renderFilters(wayIn, options)
  return {
    apiVersion: API,
    kind: 'HTTPRoute',
    name: route.name,
    annotations: { ...route.annotations, ...options.annotations },
    body: {
      spec: {
        parentRefs: [renderParent(wayIn, route)],
        hostnames: [route.host],
        rules: [
          {
            matches: publicPaths(wayIn).map(({ path, isExact }) => ({
              path: { type: isExact ? 'Exact' : 'PathPrefix', value: path }
            })),
            ...(filters.length === 0 ? {} : { filters }),
            ...(options.timeouts === false ? {} : { timeouts: { request: timeout, backendRequest: timeout } }),
            backendRefs: [{ group: '', kind: 'Service', name: wayIn.serviceName, port: wayIn.port, weight: 1 }]
          }
        ]
      }
    }
  }
}

function renderParent({ gateway, serviceName }: WayIn, route: Route): Record<string, string> {
  const ours = { group: GROUP, kind: 'Gateway' }
  if (gateway === undefined) return { ...ours, name: serviceName, sectionName: route.name }
  const { name, namespace, listener } = gateway
  return { ...ours, name, namespace, ...(listener === undefined ? {} : { sectionName: listener }) }
}

function renderFilters({ hsts }: WayIn, options: GatewayOptions): object[] {
  return [
    ...(options.extensions ?? []).map((extensionRef) => ({ type: 'ExtensionRef', extensionRef })),
    ...(hsts === undefined || options.hstsFilter === false
      ? []
      : [
          {
            type: 'ResponseHeaderModifier',
            responseHeaderModifier: { set: [{ name: 'Strict-Transport-Security', value: renderHsts(hsts) }] }
          }
        ])
  ]
}
