// Regions whose way in is through a given controller, with whatever that controller needs.
import { CONTROLLER_TRAITS, type IngressController } from '../../infra/lib/ingress-controllers.ts'
import type { RegionInput, StackInput } from '../../infra/schema.ts'
import { region, stackOf } from './stacks.ts'

export type IngressInput = RegionInput['ingress']

export const STREAM_MS = 1_200_000
/** What the time budget makes of it: the propagation of 15 s and a drain as long as a stream. */
export const DRAIN_SECONDS = 1215
export const MAX_BODY = 7_654_321

export const APIS = ['cert-manager', 'external-dns', 'gateway-api'] as const
const ARN = 'arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-1111-2222-3333-444455556666'

/** A certificate for a host, where the controller looks for it. */
function certificateFor(controller: IngressController, secretName: string): NonNullable<IngressInput['tls']> {
  return CONTROLLER_TRAITS[controller].certificate === 'arn' ? { certificateArn: ARN } : { secretName }
}

/** The least that the controller takes. */
export function ingressFor(controller: IngressController, changes: Partial<IngressInput> = {}): IngressInput {
  return {
    controller,
    host: 'llm.eu-west.example.com',
    tls: certificateFor(controller, 'llm-tls'),
    ...(controller === 'gateway-api' ? { gatewayClassName: 'any' } : {}),
    ...changes
  }
}

/** Everything of the way in that the controller does not refuse. */
export function everythingFor(controller: IngressController): Partial<IngressInput> {
  const { refuses } = CONTROLLER_TRAITS[controller]
  const issuer = refuses.clusterIssuer === undefined ? { clusterIssuer: 'acme' } : {}
  return {
    tls: { ...certificateFor(controller, 'llm-tls'), ...issuer },
    sharedHost: {
      host: 'llm.example.com',
      tls: { ...certificateFor(controller, 'shared-tls'), ...issuer },
      routing: { policy: 'latency', awsRegion: 'eu-west-1' }
    },
    dns: {},
    ...(refuses.hsts === undefined ? { hsts: { maxAgeSeconds: 600, includeSubDomains: true } } : {}),
    ...(refuses.allowFrom === undefined ? { allowFrom: ['203.0.113.0/24', '2001:db8::/32'] } : {}),
    ...(refuses.clientCa === undefined ? { clientCa: { name: 'client-ca', key: 'ca.crt' } } : {})
  }
}

/** A stack of one region with that way in. */
export function stackThrough(ingress: IngressInput, changes: Partial<RegionInput> = {}): StackInput {
  return stackOf({
    regions: [
      region({
        cluster: { apis: [...APIS] },
        budget: { streamMs: STREAM_MS },
        gateway: { ...region().gateway, maxBodyBytes: MAX_BODY },
        ingress,
        ...changes
      })
    ]
  })
}

/** `stackThrough` the least that the controller takes, with changes. */
export const stackFor = (controller: IngressController, changes: Partial<IngressInput> = {}): StackInput =>
  stackThrough(ingressFor(controller, changes))
