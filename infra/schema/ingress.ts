// The schema of the way into a region: controller, hosts, TLS, and who is let in.
import { z } from 'zod'
import { CONTROLLER_TRAITS, INGRESS_CONTROLLERS } from '../lib/ingress-controllers.ts'
import { DNS_LABEL, HOST_NAME, LABEL_KEY, OBJECT_NAME } from '../lib/names.ts'
import type { Cluster, ClusterApi } from './cluster.ts'
import { crossCheck, named, type Problem, pickValid } from './parts.ts'
import { sharedHostSchema } from './shared-host.ts'
import { tlsSchema } from './tls.ts'

const ingressShape = z.strictObject({
  controller: z.enum(INGRESS_CONTROLLERS),
  /** The DNS name that clients call. */
  host: named(HOST_NAME),
  /** The host's certificate; required unless a Gateway is attached to. */
  tls: tlsSchema.exactOptional(),
  /** Default: the class that the controller's own chart creates. */
  ingressClassName: named(OBJECT_NAME).exactOptional(),
  /** Default: the GatewayClass that the implementation's own chart creates; gateway-api has none. */
  gatewayClassName: named(OBJECT_NAME).exactOptional(),
  /** A Gateway that somebody else runs, to attach to. Default: one of the region's own. */
  gateway: z
    .strictObject({
      name: named(OBJECT_NAME),
      namespace: named(DNS_LABEL),
      listener: named(OBJECT_NAME).exactOptional()
    })
    .exactOptional(),
  /** A host that other regions answer to as well; the nearest one gets a client. */
  sharedHost: sharedHostSchema.exactOptional(),
  /** The hosts' records in DNS, by external-dns. */
  dns: z.strictObject({ ttlSeconds: z.int().min(1).max(86_400).default(60) }).exactOptional(),
  /** HTTP Strict Transport Security: browsers use nothing but TLS for the host. */
  hsts: z
    .strictObject({
      maxAgeSeconds: z.int().min(0).max(63_072_000).default(31_536_000),
      includeSubDomains: z.boolean().default(false)
    })
    .exactOptional(),
  /** Only clients of these networks are let in. */
  allowFrom: z
    .array(z.union([z.cidrv4(), z.cidrv6()], { error: 'use a network in CIDR notation, as 203.0.113.0/24' }))
    .min(1, 'name a network, or leave allowFrom out to let everybody in')
    .max(256)
    .exactOptional(),
  /** Only clients with a certificate of this CA are let in. */
  clientCa: z
    .strictObject({
      name: named(OBJECT_NAME),
      key: z.literal('ca.crt', { error: 'controllers read ca.crt and no other key; store the CA there' })
    })
    .exactOptional(),
  /** Annotations of the objects that have the hosts, beside those that Sluice sets. */
  annotations: z.record(named(LABEL_KEY), z.string()).exactOptional()
})

type Shape = Partial<z.output<typeof ingressShape>>

/** The way in, checked against what its controller can do. */
export const ingressSchema = crossCheck(ingressShape, (written) => {
  const ingress: Shape = pickValid(ingressShape, written)
  if (ingress.controller === undefined) return []
  return [
    ...findRefusedFeatures(ingress.controller, ingress),
    ...findClassProblems(ingress.controller, ingress),
    ...findGatewayProblems(ingress),
    ...findCertificateProblems(ingress, ['tls'], isWritten(written, 'tls')),
    ...findSharedHostProblems(ingress, ingress.tls)
  ]
})

/** What the cluster has to have for this way in, and has not said that it has. */
export function findMissingApis(ingress: unknown, { apis }: Pick<Cluster, 'apis'>): Problem[] {
  const { controller, dns, tls, sharedHost }: Shape = pickValid(ingressShape, ingress)
  const missing = (needed: boolean, path: readonly string[], api: ClusterApi, why: string): Problem[] =>
    needed && !apis.includes(api) ? [[path, `${why} needs ${api}; install it and add it to cluster.apis`]] : []
  const routedBy = controller === undefined ? undefined : CONTROLLER_TRAITS[controller].routedBy
  const issued = (written: Shape['tls']) => written?.clusterIssuer !== undefined
  return [
    ...missing(routedBy === 'gateway-api', ['controller'], 'gateway-api', `${controller}`),
    ...missing(dns !== undefined, ['dns'], 'external-dns', 'a record in DNS'),
    ...missing(sharedHost !== undefined, ['sharedHost'], 'external-dns', 'a host of several regions'),
    ...missing(issued(tls), ['tls', 'clusterIssuer'], 'cert-manager', 'an issuer'),
    ...missing(issued(sharedHost?.tls), ['sharedHost', 'tls', 'clusterIssuer'], 'cert-manager', 'an issuer')
  ]
}

function findRefusedFeatures(controller: NonNullable<Shape['controller']>, ingress: Shape): Problem[] {
  const { refuses } = CONTROLLER_TRAITS[controller]
  const features = ['hsts', 'allowFrom', 'clientCa', 'gateway'] as const
  return features.flatMap((feature): Problem[] => {
    const remedy = refuses[feature]
    if (remedy === undefined || ingress[feature] === undefined) return []
    return [[[feature], `${controller} can't do this: ${remedy}`]]
  })
}

function findClassProblems(controller: NonNullable<Shape['controller']>, ingress: Shape): Problem[] {
  const { routedBy } = CONTROLLER_TRAITS[controller]
  const problems: Problem[] = []
  if (ingress.ingressClassName !== undefined && (routedBy === 'gateway-api' || controller === 'istio')) {
    problems.push([['ingressClassName'], `${controller} makes no Ingress; leave it out`])
  }
  if (ingress.gatewayClassName !== undefined && routedBy !== 'gateway-api') {
    problems.push([['gatewayClassName'], `${controller} is not the Gateway API; leave it out`])
  }
  if (ingress.gatewayClassName !== undefined && ingress.gateway !== undefined) {
    problems.push([['gatewayClassName'], 'the Gateway that is attached to has its class; leave one of them out'])
  }
  if (controller === 'gateway-api' && ingress.gatewayClassName === undefined && ingress.gateway === undefined) {
    problems.push([['gatewayClassName'], 'name the GatewayClass of the implementation, or attach to a gateway'])
  }
  return problems
}

/** What only whoever runs a Gateway can set at it. */
function findGatewayProblems({ controller, gateway, clientCa, allowFrom }: Shape): Problem[] {
  if (gateway === undefined) return []
  const problems: Problem[] = []
  if (clientCa !== undefined) {
    problems.push([['clientCa'], `the Gateway ${gateway.name} asks for certificates, or nobody does; set it there`])
  }
  if (allowFrom !== undefined && controller === 'istio-gateway') {
    problems.push([['allowFrom'], `an AuthorizationPolicy stands beside its Gateway; set it in ${gateway.namespace}`])
  }
  return problems
}

function findSharedHostProblems({ tls: _own, ...ingress }: Shape, ownTls: Shape['tls']): Problem[] {
  const { host, sharedHost } = ingress
  if (sharedHost === undefined) return []
  const { tls } = sharedHost
  const problems = findCertificateProblems(
    { ...ingress, ...(tls === undefined ? {} : { tls }) },
    ['sharedHost', 'tls'],
    tls !== undefined
  )
  if (sharedHost.host === host) {
    problems.push([['sharedHost', 'host'], `${host} is the region's own; use a name that is the same in every region`])
  }
  if (tls?.clusterIssuer !== undefined && tls.secretName === ownTls?.secretName) {
    problems.push([
      ['sharedHost', 'tls', 'secretName'],
      `${tls.secretName} gets the other host's certificate; use another`
    ])
  }
  return problems
}

function findCertificateProblems(
  { controller, gateway, tls }: Shape,
  path: readonly string[],
  written: boolean
): Problem[] {
  if (controller === undefined) return []
  if (gateway !== undefined) {
    return written ? [[path, `the Gateway ${gateway.name} has the certificate; leave it out`]] : []
  }
  const { certificate, refuses } = CONTROLLER_TRAITS[controller]
  const how = certificate === 'arn' ? 'certificateArn' : 'secretName'
  if (!written) return [[path, `say where the certificate is: { ${how} }`]]
  if (tls === undefined) return []
  const problems: Problem[] = []
  if (tls[how] === undefined) problems.push([[...path, how], `${controller} needs it`])
  const other = certificate === 'arn' ? 'secretName' : 'certificateArn'
  if (tls[other] !== undefined) problems.push([[...path, other], `${controller} does not read it; write ${how}`])
  if (tls.clusterIssuer !== undefined && refuses.clusterIssuer !== undefined) {
    problems.push([[...path, 'clusterIssuer'], `${controller} can't do this: ${refuses.clusterIssuer}`])
  }
  return problems
}

function isWritten(object: unknown, key: string): boolean {
  return typeof object === 'object' && object !== null && key in object
}
