// `npm run prune`: prints the kubectl command that applies a region and deletes what the stack no longer has of it.
import type { ApiObject } from 'cdk8s'
import { REGION_LABEL } from './lib/labels.ts'
import { listObjects } from './main.ts'
import { StackError, type StackInput } from './schema.ts'
import { stack } from './stack.ts'

/**
 * Kinds that are never pruned. A Namespace takes everything in it along, and claims and volumes hold weights that took an
 * hour to load; whoever means it deletes them by hand.
 */
const KEPT = new Set(['Namespace', 'PersistentVolume', 'PersistentVolumeClaim'])

/** Kubernetes' own kinds that may be in the cluster, although the region has none of them now. */
const AUTOSCALER = 'autoscaling/v2/HorizontalPodAutoscaler'
const USUAL = [
  'apps/v1/Deployment',
  AUTOSCALER,
  'batch/v1/CronJob',
  'batch/v1/Job',
  'core/v1/ConfigMap',
  'core/v1/Service',
  'core/v1/ServiceAccount',
  'networking.k8s.io/v1/Ingress',
  'networking.k8s.io/v1/NetworkPolicy',
  'policy/v1/PodDisruptionBudget',
  'rbac.authorization.k8s.io/v1/Role',
  'rbac.authorization.k8s.io/v1/RoleBinding'
]

/**
 * The command for the region in `folder`, or undefined when the stack has no such folder. kubectl errs on a kind that
 * the cluster does not have, so of APIs beside Kubernetes' own only those are named that the region uses.
 */
export function renderPruneCommand(input: StackInput, folder: string): string | undefined {
  const objects = listObjects(input).get(folder) ?? []
  const label = objects[0]?.metadata.getLabel(REGION_LABEL)
  if (label === undefined) return undefined
  const made = objects.filter(({ kind }) => !KEPT.has(kind))
  // KEDA gives its autoscalers the ScaledObject's labels and annotations, by which kubectl would take them for applied ones.
  const hasKeda = objects.some(({ kind }) => kind === 'ScaledObject')
  const usual = USUAL.filter((kind) => !hasKeda || kind !== AUTOSCALER)
  const kinds = [...new Set([...usual, ...made.map(kindOf)])].sort()
  return [
    `kubectl apply -k charts-out/${folder} --prune -l ${REGION_LABEL}=${label}`,
    ...kinds.map((kind) => `--prune-allowlist=${kind}`)
  ].join(' \\\n  ')
}

/** As kubectl writes it: group, version and kind, the group of Kubernetes' first kinds being `core`. */
function kindOf({ apiVersion, kind }: ApiObject): string {
  return apiVersion.includes('/') ? `${apiVersion}/${kind}` : `core/${apiVersion}/${kind}`
}

function main([folder, ...more]: readonly string[]): number {
  try {
    // of two, one would be left out, and nobody would notice
    const command = folder === undefined || more.length > 0 ? undefined : renderPruneCommand(stack, folder)
    if (command !== undefined) console.log(command)
    else
      console.error(`name one folder of charts-out/: npm run -s prune -- ${[...listObjects(stack).keys()].join(' | ')}`)
    return command === undefined ? 2 : 0
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    console.error(error.problems.join('\n'))
    return 1
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2))
