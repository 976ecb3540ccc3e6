// The schema of a host that several regions answer to, and what its regions have to agree on.
import { z } from 'zod'
import { HOST_NAME } from '../lib/names.ts'
import { named } from './parts.ts'
import { tlsSchema } from './tls.ts'

const continentSchema = z.strictObject({
  policy: z.literal('geo'),
  continent: z.enum(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA'])
})

const countrySchema = z.strictObject({
  policy: z.literal('geo'),
  /** ISO 3166-1 alpha-2, or * for everybody whom no other record is for. */
  country: z.string().regex(/^([A-Z]{2}|\*)$/, 'use a country of two capital letters, as DE, or * for all others')
})

const routingSchema = z.union(
  [
    z.strictObject({
      policy: z.literal('latency'),
      /** The AWS region that is the nearest to this one. */
      awsRegion: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'use an AWS region, as eu-west-1')
    }),
    z.strictObject({ policy: z.literal('weight'), weight: z.int().min(0).max(255) }),
    continentSchema,
    countrySchema
  ],
  {
    error:
      "use { policy: 'latency', awsRegion: 'eu-west-1' }, { policy: 'weight', weight: 0 to 255 }, { policy: 'geo', continent: 'EU' } or { policy: 'geo', country: 'DE' }, where * is everybody else"
  }
)

export const sharedHostSchema = z.strictObject({
  /** The DNS name that is the same in every region that shares it. */
  host: named(HOST_NAME),
  /** Its certificate; none where a Gateway is attached to. */
  tls: tlsSchema.exactOptional(),
  /** How Route 53 chooses the region. */
  routing: routingSchema,
  /** A Route 53 health check that exists. */
  healthCheckId: z.uuid().exactOptional()
})

type Fields = Readonly<Record<string, unknown>>

/**
 * What Route 53 refuses of the records of one name: two policies, or two records of one place. Reads a stack that may be
 * wrong elsewhere.
 */
export function findSharedHostConflicts(regions: readonly unknown[]): string[] {
  const first = new Map<string, { index: number; policy: string }>()
  const places = new Map<string, number>()
  return regions.flatMap((region, index) => {
    const parsed = sharedHostSchema.safeParse(fieldOf(fieldOf(region, 'ingress'), 'sharedHost'))
    if (!parsed.success) return []
    const { host, routing } = parsed.data
    const path = `regions[${index}].ingress.sharedHost.routing`
    const earlier = first.get(host)
    if (earlier === undefined) first.set(host, { index, policy: routing.policy })
    else if (earlier.policy !== routing.policy) {
      return [`${path}.policy: ${host} has ${earlier.policy} in regions[${earlier.index}]; use one policy for a host`]
    }
    if (routing.policy === 'weight') return []
    const { policy: _policy, ...place } = routing
    const [value = ''] = Object.values(place)
    const other = places.get(`${host} ${value}`)
    places.set(`${host} ${value}`, other ?? index)
    return other === undefined ? [] : [`${path}: ${host} has a record of ${value} in regions[${other}]; use another`]
  })
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Fields)[key] : undefined
}
