// Streaming through Istio's ingress gateway, by its own Gateway and VirtualService.
import {
  type ControllerObject,
  IDLE_CONNECTION_SECONDS,
  type ObjectProfile,
  publicPaths,
  type Route,
  renderHsts,
  type WayIn
} from './profile.ts'

const API = 'networking.istio.io/v1'

/** Istio's Envoy passes on what it gets, upgrades WebSockets and limits no body. */
export const istio: ObjectProfile = {
  name: 'istio',
  routedBy: 'objects',
  docs: 'https://istio.io/latest/docs/reference/config/networking/virtual-service/',
  origin: () => ({ namespace: 'istio-system', podLabels: { istio: 'ingressgateway' } }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => [
    ...wayIn.routes.flatMap((route) => [
      ...(wayIn.gateway === undefined ? [renderGateway(wayIn, route)] : []),
      renderVirtualService(wayIn, route)
    ]),
    renderDestinationRule(wayIn)
  ],
  notices: (wayIn) => {
    const { gateway, routes, limits } = wayIn
    const secrets = [...routes.map(({ secretName }) => secretName), wayIn.clientCaSecretName].filter(Boolean).join(', ')
    return [
      noticeIstio('istio', limits.drainSeconds),
      gateway === undefined
        ? `istio: Secrets are read beside the pods of the gateway that is labelled istio: ingressgateway; create ${secrets} there, too.`
        : `istio: the Gateway ${gateway.namespace}/${gateway.name} has to end TLS for ${routes.map(({ host }) => host).join(' and ')}.`,
      ...(wayIn.clientCaSecretName === undefined
        ? []
        : ['istio: a Secret with nothing but the CA of clients needs release 1.28 or newer (caCertCredentialName).'])
    ]
  }
}

function renderGateway({ clientCaSecretName }: WayIn, route: Route): ControllerObject {
  const { name, host, secretName, annotations } = route
  const tls =
    clientCaSecretName === undefined
      ? { mode: 'SIMPLE', credentialName: secretName }
      : { mode: 'MUTUAL', credentialName: secretName, caCertCredentialName: clientCaSecretName }
  return {
    apiVersion: API,
    kind: 'Gateway',
    name,
    // external-dns may be told to read either kind, and must not find two records.
    ...(annotations === undefined ? {} : { annotations }),
    body: {
      spec: {
        selector: { istio: 'ingressgateway' },
        servers: [{ hosts: [host], port: { name: 'https', number: 443, protocol: 'HTTPS' }, tls }]
      }
    }
  }
}

function renderVirtualService(wayIn: WayIn, { name, host, annotations }: Route): ControllerObject {
  const { gateway, serviceName, port, limits, hsts } = wayIn
  return {
    apiVersion: API,
    kind: 'VirtualService',
    name,
    ...(annotations === undefined ? {} : { annotations }),
    body: {
      spec: {
        hosts: [host],
        gateways: [gateway === undefined ? name : `${gateway.namespace}/${gateway.name}`],
        http: [
          {
            match: publicPaths(wayIn).map(({ path, isExact }) => ({
              uri: isExact ? { exact: path } : { prefix: path }
            })),
            route: [{ destination: { host: serviceName, port: { number: port } } }],
            // For a whole answer.
            timeout: `${limits.readTimeoutSeconds}s`,
            // Two by default, also of what the gateway refused; it retries itself, and knows what was sent already.
            retries: { attempts: 0 },
            ...(hsts === undefined
              ? {}
              : { headers: { response: { set: { 'Strict-Transport-Security': renderHsts(hsts) } } } })
          }
        ]
      }
    }
  }
}

/** How Istio's Envoy keeps connections to the gateway; an hour by default, which meets connections that are closed. */
export function renderDestinationRule({ serviceName }: WayIn): ControllerObject {
  return {
    apiVersion: API,
    kind: 'DestinationRule',
    name: serviceName,
    body: {
      spec: {
        host: serviceName,
        trafficPolicy: {
          connectionPool: { tcp: { connectTimeout: '5s' }, http: { idleTimeout: `${IDLE_CONNECTION_SECONDS}s` } }
        }
      }
    }
  }
}

/** What Istio has in the mesh's configuration only. */
export function noticeIstio(name: string, drainSeconds: number): string {
  return `${name}: set terminationDrainDuration of the gateway's proxies to ${drainSeconds}s or more (5 s by default), and their terminationGracePeriodSeconds above it.`
}
