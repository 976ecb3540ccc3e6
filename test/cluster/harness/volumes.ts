// Volumes for the claims of a region, as folders of this machine: nothing provisions here.
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from './cluster.ts'
import type { KubernetesObject } from './kubectl.ts'

/** The class of claims that name none. */
const DEFAULT_CLASS = 'disks'

const renderClass = (name: string) => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': `${name === DEFAULT_CLASS}` } },
  provisioner: 'kubernetes.io/no-provisioner'
})

const renderVolume = (path: string, { metadata, spec }: KubernetesObject, storageClassName: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: metadata.name },
  spec: {
    storageClassName,
    accessModes: spec.accessModes,
    capacity: spec.resources.requests,
    persistentVolumeReclaimPolicy: 'Retain',
    // it may be bound by this claim only
    claimRef: { name: metadata.name, namespace: metadata.namespace },
    hostPath: { path }
  }
})

/** Makes the classes that `claims` name, and a volume for each claim. */
export async function provideVolumes({ plane }: Cluster, claims: readonly KubernetesObject[]): Promise<void> {
  const classOf = ({ spec }: KubernetesObject): string => spec.storageClassName ?? DEFAULT_CLASS
  const volumes = claims.map((claim) => {
    const path = join(plane.workshop.folder, 'volumes', claim.metadata.name)
    mkdirSync(path, { recursive: true })
    // as a driver leaves it that honours fsGroup, which is 0 for engines
    chmodSync(path, 0o770)
    return renderVolume(path, claim, classOf(claim))
  })
  const items = [...new Set([DEFAULT_CLASS, ...claims.map(classOf)])].map(renderClass)
  await plane.kubectl.run(
    ['create', '--filename=-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...items, ...volumes] })
  )
}
