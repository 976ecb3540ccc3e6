// What Kubernetes never lets an apply change about an object: its name, and the fields that are fixed when it is made.
import type { Manifest } from './stacks.ts'

/** `<kind> <namespace>/<name>`, and the values of its immutable fields by their path. */
export type Identities = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/**
 * The immutable fields of each kind that has some. Of a claim's spec everything is, but for a larger request
 * (https://kubernetes.io/docs/concepts/storage/persistent-volumes/); a Service may only keep its address. Of the kinds that
 * Kubernetes does not have itself, none fixes a field that is set here; a LeaderWorkerSet only its subgroups' size.
 */
const IMMUTABLE: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec.selector'],
  DaemonSet: ['spec.selector'],
  StatefulSet: ['spec.selector', 'spec.serviceName', 'spec.podManagementPolicy', 'spec.volumeClaimTemplates'],
  Job: ['spec.selector', 'spec.completionMode', 'spec.template'],
  Service: ['spec.clusterIP'],
  PersistentVolumeClaim: [
    'spec.accessModes',
    'spec.storageClassName',
    'spec.volumeMode',
    'spec.volumeName',
    'spec.dataSource'
  ],
  PersistentVolume: ['spec.hostPath', 'spec.local', 'spec.csi', 'spec.volumeMode', 'spec.nodeAffinity'],
  PriorityClass: ['value', 'preemptionPolicy'],
  RoleBinding: ['roleRef'],
  ClusterRoleBinding: ['roleRef'],
  StorageClass: ['provisioner', 'parameters', 'reclaimPolicy', 'volumeBindingMode']
}

/** The identity of every object. */
export function identitiesOf(manifests: readonly Manifest[]): Identities {
  return Object.fromEntries(manifests.map((one) => [keyOf(one), immutableOf(one)]).sort())
}

function keyOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`
}

function immutableOf(object: Manifest): Record<string, unknown> {
  const fields = (IMMUTABLE[object.kind] ?? []).map((path) => [path, valueAt(object, path)] as const)
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined))
}

function valueAt(object: Manifest, path: string): unknown {
  return path.split('.').reduce((value, key) => value?.[key], object)
}

/** One sentence for each object of `released` that `current` would replace, or refuse to change. */
export function findBreakingChanges(released: Identities, current: Identities): string[] {
  return Object.entries(released).flatMap(([key, fields]) => {
    const now = current[key]
    if (now === undefined) return [`breaking change: ${key} is gone or has another name; an upgrade would delete it`]
    const paths = [...new Set([...Object.keys(fields), ...Object.keys(now)])]
    return paths
      .filter((path) => JSON.stringify(sortKeys(fields[path])) !== JSON.stringify(sortKeys(now[path])))
      .map((path) => `breaking change: ${key} has another ${path}; Kubernetes refuses it until the object is deleted`)
  })
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value ?? null
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sortKeys(inner)])
}
