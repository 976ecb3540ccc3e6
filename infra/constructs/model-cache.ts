// Where engines keep weights and compiled kernels between starts: a claim made here, one that exists, a host's disk, none.
import { Chart, JsonPatch } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'

/** What an engine needs of a cache. */
export interface IModelCache {
  /** The volume's source; the engine names and mounts it. */
  readonly source: Omit<k8s.Volume, 'name'>
}

/** Properties of a cache that is a new claim. */
export interface ModelCacheProps {
  /** `metadata.name` of the claim. */
  readonly name: string
  /** Size in GiB: the weights, and as much again for the next revision. */
  readonly sizeGiB: number
  /** Storage class. @default the cluster's */
  readonly storageClassName?: string
  /** ReadWriteMany lets replicas on several nodes share it. @default ReadWriteMany */
  readonly accessMode?: 'ReadWriteMany' | 'ReadWriteOnce'
}

/** Properties of a cache on the nodes' own disks. */
export interface HostPathCacheProps {
  /** `metadata.name` of the claim; the volume's is `<namespace>-<name>`. */
  readonly name: string
  /**
   * Absolute directory that exists on every node that runs the engine and that group 0 may write, as
   * `install -d -m 2775 -g 0 <path>` makes it: Kubernetes changes neither owner nor mode of a host's directory.
   */
  readonly path: string
  /** Size in GiB that claim and volume agree on; the disk is the limit. @default 500 */
  readonly sizeGiB?: number
}

/** A PersistentVolumeClaim that keeps models over the life of pods. */
export class ModelCache extends Construct implements IModelCache {
  /** The volume's source; the engine names and mounts it. */
  readonly source: Omit<k8s.Volume, 'name'>

  /** A claim that somebody else made, in the engine's namespace. */
  static fromClaimName(claimName: string): IModelCache {
    return { source: { persistentVolumeClaim: { claimName } } }
  }

  /** No cache beyond the pod's life: every start loads the model anew. The size is in GiB. */
  static fromEmptyDir(sizeGiB: number): IModelCache {
    return { source: { emptyDir: { sizeLimit: gibibytes(sizeGiB) } } }
  }

  /** The nodes' own disks; each node loads a model once. */
  static fromHostPath(scope: Construct, id: string, props: HostPathCacheProps): IModelCache {
    return new HostPathCache(scope, id, props)
  }

  constructor(scope: Construct, id: string, props: ModelCacheProps) {
    super(scope, id)
    new k8s.KubePersistentVolumeClaim(this, 'Resource', {
      metadata: { name: props.name, labels: cacheLabels(props.name) },
      spec: {
        accessModes: [props.accessMode ?? 'ReadWriteMany'],
        ...(props.storageClassName === undefined ? {} : { storageClassName: props.storageClassName }),
        resources: { requests: { storage: gibibytes(props.sizeGiB) } }
      }
    })
    this.source = { persistentVolumeClaim: { claimName: props.name } }
  }
}

/**
 * A hostPath volume in a pod is what Pod Security `restricted` forbids; a claim bound to a PersistentVolume on the same
 * directory is not, and only who may create PersistentVolumes can choose the directory.
 */
class HostPathCache extends Construct implements IModelCache {
  readonly source: Omit<k8s.Volume, 'name'>

  constructor(scope: Construct, id: string, props: HostPathCacheProps) {
    super(scope, id)
    const storage = { storage: gibibytes(props.sizeGiB ?? 500) }
    const labels = cacheLabels(props.name)
    const namespace = Chart.of(this).namespace
    const volumeName = namespace === undefined ? props.name : `${namespace}-${props.name}`
    // The empty class keeps a default provisioner from answering the claim.
    const spec = { accessModes: ['ReadWriteMany'], storageClassName: '' }
    new k8s.KubePersistentVolumeClaim(this, 'Resource', {
      metadata: { name: props.name, labels },
      spec: { ...spec, volumeName, resources: { requests: storage } }
    })
    const volume = new k8s.KubePersistentVolume(this, 'Volume', {
      metadata: { name: volumeName, labels },
      spec: {
        ...spec,
        capacity: storage,
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path: props.path, type: 'Directory' },
        ...(namespace === undefined ? {} : { claimRef: { namespace, name: props.name } })
      }
    })
    // A volume belongs to the cluster; the chart gives each object its namespace.
    volume.addJsonPatch(JsonPatch.remove('/metadata/namespace'))
    this.source = { persistentVolumeClaim: { claimName: props.name } }
  }
}

function cacheLabels(name: string): Record<string, string> {
  return labelsOf({ name: 'model-cache', instance: name, component: 'model-cache' })
}

function gibibytes(size: number): k8s.Quantity {
  return k8s.Quantity.fromString(`${size}Gi`)
}
