// The schema of where a region's Secrets come from, when not by hand: an external store, or values sealed for the cluster.
import { z } from 'zod'
import { OBJECT_NAME, SECRET_KEY } from '../lib/names.ts'
import type { Cluster } from './cluster.ts'
import { named, type Problem } from './parts.ts'

const type = z.enum(['Opaque', 'kubernetes.io/tls', 'kubernetes.io/dockerconfigjson', 'nginx.org/ca']).default('Opaque')

/** External Secrets Operator copies values from a store. */
const externalSecret = z.strictObject({
  source: z.literal('external-secrets'),
  /** The Secret's name, as `SECRETS` in stack.ts has it. */
  name: named(OBJECT_NAME),
  type,
  store: z.strictObject({
    kind: z.enum(['ClusterSecretStore', 'SecretStore']).default('ClusterSecretStore'),
    name: named(OBJECT_NAME)
  }),
  /** How often the store is asked. */
  refreshMinutes: z.int().min(1).max(10_080).default(60),
  /** Each key of the Secret, and what the store calls its value. */
  data: z.record(
    named(SECRET_KEY),
    z.strictObject({
      key: z.string().min(1),
      /** A field of a value that is JSON. */
      property: z.string().min(1).exactOptional(),
      /** Default: the newest. */
      version: z.string().min(1).exactOptional()
    })
  )
})

/**
 * What `kubeseal` prints is a session key under the controller's RSA key of at least 2048 bits, then the value under that:
 * 274 bytes or more. A value that was pasted as it is, is seldom so long.
 */
const sealed = z
  .string()
  .regex(
    /^[A-Za-z0-9+/]{364,}={0,2}$/,
    'use the value that kubeseal prints, never the value itself; replace this one if it was real'
  )

/** The Sealed Secrets controller decrypts what was encrypted for this cluster, namespace and name. */
const sealedSecret = z.strictObject({
  source: z.literal('sealed-secrets'),
  name: named(OBJECT_NAME),
  type,
  encryptedData: z.record(named(SECRET_KEY), sealed)
})

/** Secrets that something in the cluster makes; whoever runs the cluster makes the others. */
export const secretsSchema = z
  .array(z.discriminatedUnion('source', [externalSecret, sealedSecret]))
  .max(256)
  .default([])
export type SecretSource = z.output<typeof secretsSchema>[number]

/** Secrets whose maker is not in the cluster, and names that stand twice. */
export function findSecretProblems({
  secrets = [],
  cluster
}: {
  secrets?: SecretSource[]
  cluster?: Cluster
}): Problem[] {
  return secrets.flatMap(({ name, source }, index): Problem[] => {
    const first = secrets.findIndex((other) => other.name === name)
    return [
      ...(cluster === undefined || cluster.apis.includes(source)
        ? []
        : [
            [
              ['secrets', index, 'source'],
              `${source} is not in cluster.apis; add it if it is installed, or make ${name} by hand`
            ] as const
          ]),
      ...(first === index
        ? []
        : [[['secrets', index, 'name'], `${name} is made by secrets[${first}] already`] as const])
    ]
  })
}
