// What an ingress controller has to be told so that a stream passes through it unbuffered and uncut.
import type { TimeBudget } from '../../../gateway/contract.ts'

/** The numbers that a profile renders, all derived from the time budget and the gateway's limits. */
export interface StreamLimits extends Pick<TimeBudget['ingress'], 'readTimeoutSeconds' | 'drainSeconds'> {
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number
  /** How long a WebSocket may be open in all, its last stream included. @default `readTimeoutSeconds` */
  readonly webSocketSeconds?: number
}

/** One host, and its certificate. */
export interface Route {
  /** `metadata.name` of what routes it. */
  readonly name: string
  /** The DNS name that clients call. */
  readonly host: string
  /** The Secret of type kubernetes.io/tls. @default none: the certificate is elsewhere */
  readonly secretName?: string
  /** The cert-manager ClusterIssuer that fills the Secret. @default none: the Secret is made by somebody else */
  readonly clusterIssuer?: string
  /** A certificate in AWS Certificate Manager, instead of a Secret. @default none */
  readonly certificateArn?: string
  /** What external-dns reads, and the operator's own. @default none */
  readonly annotations?: Readonly<Record<string, string>>
}

/** HTTP Strict Transport Security, RFC 6797. */
export interface Hsts {
  readonly maxAgeSeconds: number
  readonly includeSubDomains: boolean
}

/** A Gateway that somebody else runs. */
export interface GatewayReference {
  readonly name: string
  readonly namespace: string
  /** The listener. @default every one that takes the host */
  readonly listener?: string
}

/** The way in as a whole: hosts, what is behind them, and what is asked of every request. */
export interface WayIn {
  readonly namespace: string
  /** The Service that is routed to, and its port. */
  readonly serviceName: string
  readonly port: number
  readonly limits: StreamLimits
  /** The region's own host, then the one that it shares with other regions. */
  readonly routes: readonly [Route, ...Route[]]
  /** Routes the gateway's console, too. @default false */
  readonly console?: boolean
  /** IngressClass or GatewayClass. @default the profile's */
  readonly className?: string
  /** The Gateway that is attached to. @default one of the region's own, where the profile has Gateways */
  readonly gateway?: GatewayReference
  /** @default no header */
  readonly hsts?: Hsts
  /** CIDRs of the only clients that are let in. @default everybody */
  readonly allowFrom?: readonly string[]
  /** The Secret with the CA (key `ca.crt`) that every client's certificate has to come from. @default no client certificates */
  readonly clientCaSecretName?: string
}

/** An object of a kind that Kubernetes does not have itself, as it stands in YAML. */
export interface ControllerObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly annotations?: Readonly<Record<string, string>>
  /** Everything beside `apiVersion`, `kind` and `metadata`: mostly `spec`. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Pods of a namespace, by their labels. */
export interface OriginPods {
  readonly namespace: string
  readonly podLabels: Readonly<Record<string, string>>
  /** Who configures them, and on which port; they have to reach it where they run beside the gateway. @default unknown */
  readonly controlPlane?: Omit<OriginPods, 'controlPlane' | 'guess'> & { readonly port: number }
  /** What is not known of them, for whoever has to say it. @default nothing */
  readonly guess?: string
}

/** Addresses outside of the cluster's pods. */
export interface OriginAddresses {
  readonly cidrs: readonly string[]
  /** What is not known of them, for whoever has to say it. @default nothing */
  readonly guess?: string
}

/** Where connections come from; Cilium's own proxy is neither a pod nor has it an address that policies know. */
export type Origin = OriginPods | OriginAddresses | 'cilium'

interface Profile {
  readonly name: string
  /** Where connections to the gateway come from, as the controller is usually installed. */
  origin(wayIn: WayIn): Origin
  /** Where the controller documents what is used here. */
  readonly docs: string
  /** Annotations of the Service, for controllers that read them there. */
  serviceAnnotations(wayIn: WayIn): Record<string, string>
  /** Labels of the namespace, for controllers that read them there. @default none */
  readonly namespaceLabels?: Readonly<Record<string, string>>
  /** Objects of kinds that Kubernetes does not have itself, in the region's namespace. */
  objects(wayIn: WayIn): readonly ControllerObject[]
  /**
   * How long the controller keeps a connection to the gateway for its next request, in seconds, where that is longer than
   * the gateway does of its own accord. @default at most 60
   */
  keepsConnectionsSeconds?(wayIn: WayIn): number
  /** What no manifest of a namespace can set: for whoever runs the controller. */
  notices(wayIn: WayIn): readonly string[]
}

/** A controller that routes by an Ingress and its annotations. */
export interface AnnotationProfile extends Profile {
  readonly routedBy: 'ingress'
  /** The IngressClass that the controller's own chart creates; undefined where it wants none. */
  readonly ingressClassName: string | undefined
  /** Annotations of a route's Ingress. */
  annotations(wayIn: WayIn, route: Route): Record<string, string>
  /** Annotations of an Ingress whose certificate cert-manager fills. */
  readonly certificateAnnotations: Readonly<Record<string, string>>
}

/** A controller that routes by its `objects`, the first of which is the main one. */
export interface ObjectProfile extends Profile {
  readonly routedBy: 'objects'
}

/** One controller, pure: the same way in gives the same strings. */
export type IngressProfile = AnnotationProfile | ObjectProfile

/** A path that is routed: with everything below it, or exactly. */
export interface PublicPath {
  readonly path: string
  readonly isExact: boolean
}

/** Only the API is routed, and the console where it is shown: health, readiness and metrics stay inside the cluster. */
export function publicPaths({ console = false }: Pick<WayIn, 'console'>): readonly PublicPath[] {
  const api = { path: '/v1', isExact: false }
  return console ? [api, { path: '/console', isExact: false }, { path: '/', isExact: true }] : [api]
}

/** Below the gateway's own keep-alive of 75 s, so a connection is never reused at the moment it is closed. */
export const IDLE_CONNECTION_SECONDS = 60

/** The same entries, each key with a prefix. */
export function prefixKeys(prefix: string, entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [`${prefix}${key}`, value]))
}

/** The value of `Strict-Transport-Security`. */
export function renderHsts({ maxAgeSeconds, includeSubDomains }: Hsts): string {
  return `max-age=${maxAgeSeconds}${includeSubDomains ? '; includeSubDomains' : ''}`
}

/** A sentence where a controller can't wait for as long as the budget says; nothing where it can. */
export function noticeLimit(controller: string, what: string, wantedSeconds: number, mostSeconds: number): string[] {
  if (wantedSeconds <= mostSeconds) return []
  return [`${controller}: ${what} is ${mostSeconds}s at most, and the time budget asks for ${wantedSeconds}s.`]
}
