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

/** Wrong types, missing and unknown fields outside of the pod templates. */
export function findLeaderWorkerSetProblems(object: Manifest): string[] {
  const parsed = schema.safeParse(object)
  return parsed.success ? [] : parsed.error.issues.map((issue) => `/${issue.path.join('/')}: ${issue.message}`)
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
