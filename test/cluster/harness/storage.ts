// Volumes without disks: what a region's claims bind to where nothing provisions.

import { ZONE_LABEL } from './fake-nodes.ts'
import type { Kubectl } from './kubectl.ts'

/** The class of volumes that every node can mount. */
const SHARED_CLASS = 'shared-files'

/** The cluster's default class: disks, each of one zone, chosen when a pod that needs one is placed. */
const ZONAL_CLASS = 'zonal-disks'

const classes = [
  { name: SHARED_CLASS, annotations: {}, volumeBindingMode: 'Immediate' },
  {
    name: ZONAL_CLASS,
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    volumeBindingMode: 'WaitForFirstConsumer'
  }
].map(({ name, annotations, volumeBindingMode }) => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name, annotations },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode
}))

function renderVolume(name: string, storageClassName: string, accessMode: string, zone?: string): object {
  const inZone = { key: ZONE_LABEL, operator: 'In', values: [zone] }
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      storageClassName,
      accessModes: [accessMode],
      capacity: { storage: '1Ti' },
      persistentVolumeReclaimPolicy: 'Retain',
      ...(zone === undefined
        ? { nfs: { server: 'files.example.com', path: `/${name}` } }
        : {
            csi: { driver: 'disks.example.com', volumeHandle: name },
            nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [inZone] }] } }
          })
    }
  }
}

/** Makes both classes, `shared` volumes of the first, and a disk in each of `zones`. */
export async function provideVolumes(kubectl: Kubectl, shared: number, zones: readonly string[]): Promise<void> {
  const items = [
    ...classes,
    ...Array.from({ length: shared }, (_, index) => renderVolume(`shared-${index}`, SHARED_CLASS, 'ReadWriteMany')),
    ...zones.map((zone) => renderVolume(`disk-${zone}`, ZONAL_CLASS, 'ReadWriteOnce', zone))
  ]
  await kubectl.run(['create', '--filename=-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}
