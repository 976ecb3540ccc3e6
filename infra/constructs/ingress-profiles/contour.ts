// Streaming through Contour, by its HTTPProxy.
import {
  type ControllerObject,
  IDLE_CONNECTION_SECONDS,
  type ObjectProfile,
  type PublicPath,
  publicPaths,
  type Route,
  renderHsts,
  type WayIn
} from './profile.ts'

/** Contour's Envoy passes on what it gets, limits no body, and compresses pages but no event streams. */
export const contour: ObjectProfile = {
  name: 'contour',
  routedBy: 'objects',
  docs: 'https://projectcontour.io/docs/main/config/api/',
  origin: () => ({ namespace: 'projectcontour', podLabels: { app: 'envoy' } }),
  serviceAnnotations: () => ({}),
  objects: (wayIn) => wayIn.routes.map((route) => renderProxy(wayIn, route)),
  notices: ({ limits }) => [
    `contour: let terminationGracePeriodSeconds of Envoy's pods, which drain by Contour's shutdown-manager, be ${limits.drainSeconds}s or more (300 s by default).`
  ]
}

function renderProxy(wayIn: WayIn, { name, host, secretName, annotations }: Route): ControllerObject {
  const { className, allowFrom, clientCaSecretName } = wayIn
  return {
    apiVersion: 'projectcontour.io/v1',
    kind: 'HTTPProxy',
    name,
    ...(annotations === undefined ? {} : { annotations }),
    body: {
      spec: {
        ingressClassName: className ?? 'contour',
        virtualhost: {
          fqdn: host,
          tls: {
            secretName,
            ...(clientCaSecretName === undefined ? {} : { clientValidation: { caSecret: clientCaSecretName } })
          },
          // Peer is who connects; Remote would believe a header.
          ...(allowFrom === undefined ? {} : { ipAllowPolicy: allowFrom.map((cidr) => ({ source: 'Peer', cidr })) })
        },
        routes: publicPaths(wayIn).map((path) => renderRoute(wayIn, path))
      }
    }
  }
}

function renderRoute({ serviceName, port, limits, hsts }: WayIn, { path, isExact }: PublicPath): object {
  return {
    conditions: [isExact ? { exact: path } : { prefix: path }],
    services: [{ name: serviceName, port }],
    // Contour passes an upgrade on where it is told to only.
    enableWebsockets: true,
    timeoutPolicy: {
      // For a whole answer; Envoy's own default is 15 s.
      response: `${limits.readTimeoutSeconds}s`,
      // An answer that is not streamed is silent until its end; 5 min by default.
      idle: `${limits.readTimeoutSeconds}s`,
      // Of a connection to the gateway that waits for its next request; an hour by default, which meets closed ones.
      idleConnection: `${IDLE_CONNECTION_SECONDS}s`
    },
    ...(hsts === undefined
      ? {}
      : { responseHeadersPolicy: { set: [{ name: 'Strict-Transport-Security', value: renderHsts(hsts) }] } })
  }
}
