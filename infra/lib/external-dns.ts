// The annotations that external-dns makes a record of.

/** How Route 53 chooses between the regions of one name. */
export type DnsRouting =
  | { readonly policy: 'latency'; readonly awsRegion: string }
  | { readonly policy: 'weight'; readonly weight: number }
  | { readonly policy: 'geo'; readonly continent: string }
  | { readonly policy: 'geo'; readonly country: string }

/** Properties of a record; its name and its target are the object's own. */
export interface DnsRecord {
  readonly ttlSeconds: number
  /** Tells the records of one name apart. @default none: the only record of its name */
  readonly setIdentifier?: string
  readonly routing?: DnsRouting
  /** A Route 53 health check that exists; a region that fails it is not answered with. @default none */
  readonly healthCheckId?: string
}

/** The second one until release 0.22, the first one since; each release ignores the other. */
const PREFIXES = ['external-dns.kubernetes.io/', 'external-dns.alpha.kubernetes.io/']

/**
 * Annotations of the object that has the host, for old and new releases of external-dns.
 * https://kubernetes-sigs.github.io/external-dns/latest/docs/annotations/annotations/
 */
export function renderDnsAnnotations(record: DnsRecord): Record<string, string> {
  const { ttlSeconds, setIdentifier, routing, healthCheckId } = record
  const entries = Object.entries({
    ttl: String(ttlSeconds),
    ...(setIdentifier === undefined ? {} : { 'set-identifier': setIdentifier }),
    ...(routing === undefined ? {} : renderRouting(routing)),
    ...(healthCheckId === undefined ? {} : { 'aws-health-check-id': healthCheckId })
  })
  return Object.fromEntries(PREFIXES.flatMap((prefix) => entries.map(([key, value]) => [`${prefix}${key}`, value])))
}

function renderRouting(routing: DnsRouting): Record<string, string> {
  switch (routing.policy) {
    case 'latency':
      return { 'aws-region': routing.awsRegion }
    case 'weight':
      return { 'aws-weight': String(routing.weight) }
    case 'geo':
      return 'continent' in routing
        ? { 'aws-geolocation-continent-code': routing.continent }
        : { 'aws-geolocation-country-code': routing.country }
  }
}
