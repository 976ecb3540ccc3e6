// The fields that the CRD of LeaderWorkerSet knows, as of kubernetes-sigs/lws v0.8.0 (config/crd/bases); nobody packs them.
import { z } from 'zod'
import type { Manifest } from './stacks.ts'

const intOrString = z.union([z.int(), z.string()])

const schema = z.strictObject({
  apiVersion: z.literal('leaderworkerset.x-k8s.io/v1'),
  kind: z.literal('LeaderWorkerSet'),
  metadata: z.strictObject({
    name: z.string(),
    namespace: z.string(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional()
  }),
  spec: z.strictObject({
    replicas: z.int().optional(),
    startupPolicy: z.enum(['LeaderCreated', 'LeaderReady']).optional(),
    networkConfig: z.strictObject({ subdomainPolicy: z.enum(['Shared', 'UniquePerReplica']) }).optional(),
    rolloutStrategy: z
      .strictObject({
        type: z.literal('RollingUpdate'),
        rollingUpdateConfiguration: z
          .strictObject({
            maxSurge: intOrString.optional(),
            maxUnavailable: intOrString.optional(),
            partition: z.int().optional()
          })
          .optional()
      })
      .optional(),
    leaderWorkerTemplate: z.strictObject({
      size: z.int().optional(),
      restartPolicy: z.enum(['Default', 'RecreateGroupOnPodRestart', 'None']).optional(),
      // Pod templates are Kubernetes' own, and are checked as those.
      leaderTemplate: z.unknown().optional(),
      workerTemplate: z.unknown()
    })
  })
})

/** Wrong types, missing and unknown fields outside of the pod templates, and quantities that only Kubernetes' own kinds take. */
export function findLeaderWorkerSetProblems(object: Manifest): string[] {
  const parsed = schema.safeParse(object)
  const problems = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `/${issue.path.join('/')}: ${issue.message}`)
  return [...problems, ...findFractions(object, '')]
}

function findFractions(value: unknown, path: string): string[] {
  if (typeof value === 'number') return Number.isInteger(value) ? [] : [`${path}: ${value} must be a string`]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => findFractions(inner, `${path}/${key}`))
}

/** The pod templates, each in a Deployment. */
export function podTemplatesOf({ metadata, spec }: Manifest): Manifest[] {
  const { leaderTemplate, workerTemplate } = spec.leaderWorkerTemplate
  return [leaderTemplate, workerTemplate].map((template) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { selector: { matchLabels: template.metadata.labels }, template }
  }))
}
