// The way into a region, as its schema describes it, in the terms of the ingress profiles.
import { type ConfigInput, MAX_UPLOAD_BYTES, type TimeBudget, webSocketSchema } from '../../gateway/contract.ts'
import type { IngressProfile, Route, StreamLimits, WayIn } from '../constructs/ingress-profiles/profile.ts'
import { renderDnsAnnotations } from '../lib/external-dns.ts'
import { CONTROLLER_TRAITS } from '../lib/ingress-controllers.ts'
import type { Region } from '../schema.ts'
import type { PlacedModel } from './gateway-config.ts'

/** How long a resolver may keep the answer for a shared host: a region that is gone has to be forgotten soon. */
const SHARED_TTL_SECONDS = 60

/** The region's hosts, its limits and who is let in; `serviceName` and `port` are the gateway's. */
export function wayInOf(region: Region, limits: StreamLimits, serviceName: string, port: number): WayIn {
  const { ingress, namespace } = region
  const className = ingress.gatewayClassName ?? ingress.ingressClassName
  return {
    namespace,
    serviceName,
    port,
    limits,
    routes: [ownRoute(region, serviceName), ...sharedRoutes(region, `${serviceName}-shared`)],
    ...(region.gateway.console ? { console: true } : {}),
    ...(className === undefined ? {} : { className }),
    ...(ingress.gateway === undefined ? {} : { gateway: ingress.gateway }),
    ...(ingress.hsts === undefined ? {} : { hsts: ingress.hsts }),
    ...(ingress.allowFrom === undefined ? {} : { allowFrom: ingress.allowFrom }),
    ...(ingress.clientCa === undefined ? {} : { clientCaSecretName: ingress.clientCa.name })
  }
}

/** What a profile tells the controller; a WebSocket is open for as long as the gateway keeps one, and its last stream lasts. */
export function limitsOf(region: Region, placed: readonly PlacedModel[], budget: TimeBudget['ingress']): StreamLimits {
  const { maxConnectionMs } = region.gateway.websocket ?? webSocketSchema.parse({})
  return {
    ...budget,
    maxBodyBytes: largestBodyOf(region, placed),
    webSocketSeconds: Math.ceil(maxConnectionMs / 1000) + budget.readTimeoutSeconds
  }
}

/** What the ingress must let in: the largest body, or the largest upload where a model transcribes. */
function largestBodyOf({ gateway }: Region, placed: readonly PlacedModel[]): number {
  const { maxBodyBytes, maxUploadBytes = MAX_UPLOAD_BYTES } = gateway
  return placed.some(({ model }) => model.tasks?.includes('transcribe'))
    ? Math.max(maxBodyBytes, maxUploadBytes)
    : maxBodyBytes
}

/** Whoever is in front has to give up a connection first: the next request would meet the close otherwise. */
const KEEP_ALIVE_MARGIN_SECONDS = 20

/** How long the gateway keeps connections, where the controller keeps them for longer than the gateway's default. */
export function keepAliveOf(profile: IngressProfile, wayIn: WayIn): Pick<ConfigInput, 'keepAliveMs'> {
  const seconds = profile.keepsConnectionsSeconds?.(wayIn)
  return seconds === undefined ? {} : { keepAliveMs: (seconds + KEEP_ALIVE_MARGIN_SECONDS) * 1000 }
}

/** What the hosts take for granted of whoever runs DNS and cert-manager. */
export function noticeHosts({ ingress }: Region): string[] {
  return [...noticeChallenge(ingress), ...noticeSharedHost(ingress)]
}

/** A Gateway of the region's own listens for TLS only, and an attached one has its certificates from elsewhere. */
function noticeChallenge({ controller, host, tls }: Region['ingress']): string[] {
  if (tls?.clusterIssuer === undefined || CONTROLLER_TRAITS[controller].routedBy !== 'gateway-api') return []
  return [
    `${host}: issuer ${tls.clusterIssuer} has to solve DNS-01; the region's Gateway has no listener on port 80, which a challenge by HTTP-01 needs.`
  ]
}

function noticeSharedHost({ sharedHost }: Region['ingress']): string[] {
  if (sharedHost === undefined) return []
  const { host, healthCheckId, tls } = sharedHost
  return [
    `${host}: external-dns has to run with provider aws in every region, each with a txtOwnerId of its own.`,
    ...(healthCheckId === undefined
      ? [`${host} has no healthCheckId: Route 53 goes on sending clients to a region that is down.`]
      : []),
    ...(tls?.clusterIssuer === undefined
      ? []
      : [`${host}: its issuer has to solve DNS-01; a challenge by HTTP-01 may be asked of another region.`])
  ]
}

function ownRoute({ ingress }: Region, name: string): Route {
  const annotations = {
    ...ingress.annotations,
    ...(ingress.dns === undefined ? {} : renderDnsAnnotations({ ttlSeconds: ingress.dns.ttlSeconds }))
  }
  return { name, host: ingress.host, ...ingress.tls, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) }
}

function sharedRoutes({ name: regionName, ingress }: Region, name: string): Route[] {
  const { sharedHost, dns } = ingress
  if (sharedHost === undefined) return []
  const { host, tls, routing, healthCheckId } = sharedHost
  const record = {
    ttlSeconds: dns?.ttlSeconds ?? SHARED_TTL_SECONDS,
    setIdentifier: regionName,
    routing,
    ...(healthCheckId === undefined ? {} : { healthCheckId })
  }
  return [{ name, host, ...tls, annotations: { ...ingress.annotations, ...renderDnsAnnotations(record) } }]
}
