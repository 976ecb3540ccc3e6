// The schema of what a region's cluster offers: its Kubernetes, and the APIs that somebody has installed beside Kubernetes' own.
import { z } from 'zod'

/** The minors that the manifests are made for, the oldest first. */
export const KUBERNETES_MINORS = [
  '1.28',
  '1.29',
  '1.30',
  '1.31',
  '1.32',
  '1.33',
  '1.34',
  '1.35',
  '1.36',
  '1.37'
] as const
export type KubernetesMinor = (typeof KUBERNETES_MINORS)[number]

/** APIs that do not come with Kubernetes. An object of one is made only where the stack says that it is there. */
export const CLUSTER_APIS = [
  'prometheus-operator',
  'keda',
  'cert-manager',
  'external-dns',
  'external-secrets',
  'sealed-secrets',
  'leader-worker-set',
  'gateway-api'
] as const
export type ClusterApi = (typeof CLUSTER_APIS)[number]

export const clusterSchema = z.strictObject({
  /** The cluster's Kubernetes, or the older of two while it is upgraded. */
  kubernetes: z.enum(KUBERNETES_MINORS).default('1.28'),
  /** What is installed in the cluster. */
  apis: z.array(z.enum(CLUSTER_APIS)).default([])
})
export type Cluster = z.output<typeof clusterSchema>

/** Whether the cluster's Kubernetes is `minor` or newer. */
export function isAtLeast({ kubernetes }: Pick<Cluster, 'kubernetes'>, minor: KubernetesMinor): boolean {
  return KUBERNETES_MINORS.indexOf(kubernetes) >= KUBERNETES_MINORS.indexOf(minor)
}
