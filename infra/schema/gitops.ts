// The schema of GitOps delivery: which controller follows which repository, and where each region's cluster is.
import { z } from 'zod'
import { DNS_LABEL, OBJECT_NAME } from '../lib/names.ts'
import { crossCheck, named, type Problem, pickValid } from './parts.ts'

const refName = z.string().regex(/^(?!-)(?!.*\.\.)[A-Za-z0-9._/-]+$/, 'use the name of a branch or a tag')

const shape = z.strictObject({
  /** Whose objects are made: an ApplicationSet for all regions, or a Kustomization for each. */
  kind: z.enum(['argocd', 'flux', 'both']),
  /** The repository that holds `charts-out/`. */
  repoURL: z.string().regex(/^(https?:\/\/|ssh:\/\/|git@)\S+$/, 'use the URL of a repository: https://… or ssh://…'),
  /** What of the repository is applied. */
  revision: z
    .union([
      z.strictObject({ branch: refName }),
      z.strictObject({ tag: refName }),
      z.strictObject({ commit: z.string().regex(/^[0-9a-f]{40}$/, 'use the 40 hex digits of a commit') })
    ])
    .default({ branch: 'main' }),
  /** The folder of the repository that `npm run synth` writes. */
  path: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/,
      'use a folder of the repository, as infra/charts-out'
    )
    .default('charts-out'),
  /** Deletes what is no longer in the repository. */
  prune: z.boolean().default(true),
  argocd: z
    .strictObject({
      namespace: named(DNS_LABEL).default('argocd'),
      project: named(OBJECT_NAME).default('default'),
      /** Argo CD's name of a region's cluster, by the region. Default: the region's name. */
      clusters: z.record(z.string(), z.string().min(1)).default({})
    })
    .prefault({}),
  flux: z
    .strictObject({
      namespace: named(DNS_LABEL).default('flux-system'),
      /** The Secret that Flux reads a private repository with. */
      secretName: named(OBJECT_NAME).exactOptional(),
      /** Seconds between two looks at the repository, and between two repairs of the cluster. */
      intervalSeconds: z.int().min(30).max(86_400).default(300)
    })
    .prefault({})
})

export const gitopsSchema = crossCheck(shape, (written) => {
  const { kind, repoURL } = pickValid(shape, written)
  const problems: Problem[] = []
  if (kind !== undefined && kind !== 'argocd' && repoURL?.startsWith('git@')) {
    problems.push([['repoURL'], 'Flux takes https:// and ssh:// only; write ssh://git@HOST/PATH'])
  }
  return problems
})
export type Gitops = z.output<typeof gitopsSchema>

/** Clusters that are named for a region that is not there. */
export function findUnknownClusters(
  gitops: Gitops | undefined,
  regions: readonly { readonly name: string }[]
): string[] {
  const names = regions.map(({ name }) => name)
  return Object.keys(gitops?.argocd.clusters ?? {})
    .filter((region) => !names.includes(region))
    .map((region) => `gitops.argocd.clusters.${region}: there is no such region; the stack has ${names.join(', ')}`)
}
