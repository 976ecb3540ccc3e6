// Streaming through Envoy Gateway.
import { noticeAttached, renderGatewayRoutes, targetGateway, targetRoutes } from './gateway-routes.ts'
import { type ControllerObject, type Edge, IDLE_CONNECTION_SECONDS, type ObjectProfile } from './profile.ts'

const GROUP = 'gateway.envoyproxy.io'
const API = `${GROUP}/v1alpha1`

/** Envoy passes on what it gets, upgrades WebSockets and limits no body; `requestBuffer` and `compressor` are never set. */
export const envoyGateway: ObjectProfile = {
  name: 'envoy-gateway',
  routedBy: 'objects',
  docs: 'https://gateway.envoyproxy.io/latest/api/extension_types/',
  serviceAnnotations: () => ({}),
  objects: (edge) => {
    const proxy = edge.gateway === undefined ? [renderProxy(edge)] : []
    return [
      ...renderGatewayRoutes(edge, {
        gatewayClassName: 'eg',
        ...(edge.gateway === undefined
          ? { parameters: { group: GROUP, kind: 'EnvoyProxy', name: edge.serviceName } }
          : {})
      }),
      ...proxy,
      renderBackendPolicy(edge),
      ...renderClientPolicy(edge),
      ...renderSecurityPolicy(edge)
    ]
  },
  notices: (edge) => {
    if (edge.gateway === undefined) return []
    return [
      ...noticeAttached('envoy-gateway', edge),
      `envoy-gateway: a ClientTrafficPolicy of that Gateway should set timeout.http.streamIdleTimeout to ${edge.limits.readTimeoutSeconds}s or more (300 s by default), and its EnvoyProxy shutdown.drainTimeout to ${edge.limits.drainSeconds}s or more (60 s).`
    ]
  }
}

/** How long Envoy's own pods let streams run on. */
function renderProxy({ serviceName, limits }: Edge): ControllerObject {
  return {
    apiVersion: API,
    kind: 'EnvoyProxy',
    name: serviceName,
    body: { spec: { shutdown: { drainTimeout: `${limits.drainSeconds}s` } } }
  }
}

function renderBackendPolicy(edge: Edge): ControllerObject {
  return {
    apiVersion: API,
    kind: 'BackendTrafficPolicy',
    name: edge.serviceName,
    body: {
      spec: {
        targetRefs: targetRoutes(edge),
        timeout: {
          http: {
            // For a whole answer; Envoy's own default is 15 s.
            requestTimeout: `${edge.limits.readTimeoutSeconds}s`,
            // Of a connection that waits for its next request; an hour by default, which meets closed ones.
            connectionIdleTimeout: `${IDLE_CONNECTION_SECONDS}s`
          },
          tcp: { connectTimeout: '5s' }
        },
        httpUpgrade: [{ type: 'websocket' }]
      }
    }
  }
}

/** At the listener, so only where the Gateway is the region's own: a policy has to be in the Gateway's namespace. */
function renderClientPolicy(edge: Edge): ControllerObject[] {
  if (edge.gateway !== undefined) return []
  return [
    {
      apiVersion: API,
      kind: 'ClientTrafficPolicy',
      name: edge.serviceName,
      body: {
        spec: {
          targetRefs: targetGateway(edge),
          // An answer that is not streamed is silent until its end; 300 s by default.
          timeout: { http: { streamIdleTimeout: `${edge.limits.readTimeoutSeconds}s` } },
          ...(edge.clientCaSecretName === undefined
            ? {}
            : {
                tls: {
                  clientValidation: {
                    caCertificateRefs: [{ group: '', kind: 'Secret', name: edge.clientCaSecretName }]
                  }
                }
              })
        }
      }
    }
  ]
}

function renderSecurityPolicy(edge: Edge): ControllerObject[] {
  if (edge.allowFrom === undefined) return []
  const rules = [{ name: 'allow', action: 'Allow', principal: { clientCIDRs: edge.allowFrom } }]
  return [
    {
      apiVersion: API,
      kind: 'SecurityPolicy',
      name: edge.serviceName,
      body: { spec: { targetRefs: targetRoutes(edge), authorization: { defaultAction: 'Deny', rules } } }
    }
  ]
}
