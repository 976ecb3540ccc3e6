// Streaming through Envoy Gateway.
import { noticeAttached, renderGatewayRoutes, targetGateway, targetRoutes } from './gateway-routes.ts'
import { type ControllerObject, IDLE_CONNECTION_SECONDS, type ObjectProfile, type WayIn } from './profile.ts'

const GROUP = 'gateway.envoyproxy.io'
const API = `${GROUP}/v1alpha1`

/** Envoy passes on what it gets, upgrades WebSockets and limits no body; `requestBuffer` and `compressor` are never set. */
export const envoyGateway: ObjectProfile = {
  name: 'envoy-gateway',
  routedBy: 'objects',
  docs: 'https://gateway.envoyproxy.io/latest/api/extension_types/',
  origin: () => ({
    namespace: 'envoy-gateway-system',
    podLabels: { 'app.kubernetes.io/managed-by': 'envoy-gateway', 'app.kubernetes.io/component': 'proxy' }
  }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => {
    const proxy = wayIn.gateway === undefined ? [renderProxy(wayIn)] : []
    return [
      ...renderGatewayRoutes(wayIn, {
        gatewayClassName: 'eg',
        ...(wayIn.gateway === undefined
          ? { parameters: { group: GROUP, kind: 'EnvoyProxy', name: wayIn.serviceName } }
          : {})
      }),
      ...proxy,
      renderBackendPolicy(wayIn),
      ...renderClientPolicy(wayIn),
      ...renderSecurityPolicy(wayIn)
    ]
  },
  notices: (wayIn) => {
    if (wayIn.gateway === undefined) return []
    return [
      ...noticeAttached('envoy-gateway', wayIn),
      `envoy-gateway: a ClientTrafficPolicy of that Gateway should set timeout.http.streamIdleTimeout to ${wayIn.limits.readTimeoutSeconds}s or more (300 s by default), and its EnvoyProxy shutdown.drainTimeout to ${wayIn.limits.drainSeconds}s or more (60 s).`
    ]
  }
}

/** How long Envoy's own pods let streams run on. */
function renderProxy({ serviceName, limits }: WayIn): ControllerObject {
  return {
    apiVersion: API,
    kind: 'EnvoyProxy',
    name: serviceName,
    body: { spec: { shutdown: { drainTimeout: `${limits.drainSeconds}s` } } }
  }
}

function renderBackendPolicy(wayIn: WayIn): ControllerObject {
  return {
    apiVersion: API,
    kind: 'BackendTrafficPolicy',
    name: wayIn.serviceName,
    body: {
      spec: {
        targetRefs: targetRoutes(wayIn),
        timeout: {
          http: {
            // For a whole answer; Envoy's own default is 15 s.
            requestTimeout: `${wayIn.limits.readTimeoutSeconds}s`,
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
function renderClientPolicy(wayIn: WayIn): ControllerObject[] {
  if (wayIn.gateway !== undefined) return []
  return [
    {
      apiVersion: API,
      kind: 'ClientTrafficPolicy',
      name: wayIn.serviceName,
      body: {
        spec: {
          targetRefs: targetGateway(wayIn),
          // An answer that is not streamed is silent until its end; 300 s by default.
          timeout: { http: { streamIdleTimeout: `${wayIn.limits.readTimeoutSeconds}s` } },
          ...(wayIn.clientCaSecretName === undefined
            ? {}
            : {
                tls: {
                  clientValidation: {
                    caCertificateRefs: [{ group: '', kind: 'Secret', name: wayIn.clientCaSecretName }]
                  }
                }
              })
        }
      }
    }
  ]
}

function renderSecurityPolicy(wayIn: WayIn): ControllerObject[] {
  if (wayIn.allowFrom === undefined) return []
  const rules = [{ name: 'allow', action: 'Allow', principal: { clientCIDRs: wayIn.allowFrom } }]
  return [
    {
      apiVersion: API,
      kind: 'SecurityPolicy',
      name: wayIn.serviceName,
      body: { spec: { targetRefs: targetRoutes(wayIn), authorization: { defaultAction: 'Deny', rules } } }
    }
  ]
}
