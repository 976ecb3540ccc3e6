// Where engines keep weights and compiled kernels between starts: a claim made here, one that exists, a host's disk, none.
import { Chart, JsonPatch } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import { gibibytesOf } from '../lib/quantity.ts'

/** Who downloads the weights before an engine starts, which then runs offline and can't change them. */
export interface WarmUp {
  /** One Job for all engines where they share the volume, or else each pod's own init container. */
  readonly by: 'job' | 'pod'
  /** Seconds that the download may take. */
  readonly seconds: number
  /** Each node has a cache of its own, so the first engine on a node waits, too, and not only the first of all. */
  readonly onEachNode: boolean
}

/** What an engine needs of a cache. */
export interface IModelCache {
  /** The volume's source; the engine names and mounts it. */
  readonly source: Omit<k8s.Volume, 'name'>
  /** @default none: the engine downloads what it misses */
  readonly warmUp?: WarmUp
  /** An image with the weights, mounted at `/models`. @default none */
  readonly modelImage?: string
}

/** Whether a cache is filled before engines start. */
export interface WarmUpProps {
  /** A download at a pinned commit before the first engine starts. @default false: each engine downloads what it misses */
  readonly warmUp?: boolean
  /** Seconds that it may take. @default 7200 */
  readonly downloadSeconds?: number
}

type AccessMode = 'ReadWriteMany' | 'ReadWriteOnce'

const DEFAULT_DOWNLOAD_SECONDS = 7200

/**
 * A volume of one node can't be mounted by a Job that lands on another, and each node's own disk is warmed on its own:
 * there the pod does it.
 */
function planWarmUp(props: WarmUpProps & { readonly accessMode?: AccessMode }, ownDisk = false): WarmUp | undefined {
  if (props.warmUp !== true) return undefined
  const by = ownDisk || props.accessMode === 'ReadWriteOnce' ? 'pod' : 'job'
  return { by, seconds: props.downloadSeconds ?? DEFAULT_DOWNLOAD_SECONDS, onEachNode: ownDisk }
}

/** Properties of a cache that is a new claim. */
export interface ModelCacheProps extends WarmUpProps {
  /** `metadata.name` of the claim. */
  readonly name: string
  /** Size in GiB: the weights, and as much again for the next revision. */
  readonly sizeGiB: number
  /** Storage class. @default the cluster's */
  readonly storageClassName?: string
  /** ReadWriteMany lets replicas on several nodes share it. @default ReadWriteMany */
  readonly accessMode?: AccessMode
}

/** Properties of a cache on the nodes' own disks. */
export interface HostPathCacheProps extends WarmUpProps {
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
  readonly warmUp?: WarmUp

  /** A claim that somebody else made, in the engine's namespace; its access mode says who can warm it. */
  static fromClaimName(
    claimName: string,
    options: WarmUpProps & { readonly accessMode?: AccessMode } = {}
  ): IModelCache {
    const warmUp = planWarmUp(options)
    return { source: { persistentVolumeClaim: { claimName } }, ...(warmUp === undefined ? {} : { warmUp }) }
  }

  /** No cache beyond the pod's life: every start loads the model anew. The size is in GiB. */
  static fromEmptyDir(sizeGiB: number): IModelCache {
    return { source: { emptyDir: { sizeLimit: gibibytesOf(sizeGiB) } } }
  }

  /**
   * An OCI image or artifact whose root holds the weights. The engine's `model` is `/models` or a folder below it;
   * `sizeGiB` bounds what it compiles, which ends with the pod.
   */
  static fromImage(reference: string, sizeGiB: number): IModelCache {
    return { source: { emptyDir: { sizeLimit: gibibytesOf(sizeGiB) } }, modelImage: reference }
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
        resources: { requests: { storage: gibibytesOf(props.sizeGiB) } }
      }
    })
    this.source = { persistentVolumeClaim: { claimName: props.name } }
    const warmUp = planWarmUp(props)
    if (warmUp !== undefined) this.warmUp = warmUp
  }
}

/**
 * A hostPath volume in a pod is what Pod Security `restricted` forbids; a claim bound to a PersistentVolume on the same
 * directory is not, and only who may create PersistentVolumes can choose the directory.
 */
class HostPathCache extends Construct implements IModelCache {
  readonly source: Omit<k8s.Volume, 'name'>
  readonly warmUp?: WarmUp

  constructor(scope: Construct, id: string, props: HostPathCacheProps) {
    super(scope, id)
    const storage = { storage: gibibytesOf(props.sizeGiB ?? 500) }
    const labels = cacheLabels(props.name)
    const namespace = Chart.of(this).namespace
    const volumeName = namespace === undefined ? props.name : `${namespace}-${props.name}`
    const accessModes = ['ReadWriteMany']
    new k8s.KubePersistentVolumeClaim(this, 'Resource', {
      metadata: { name: props.name, labels },
      // The empty class keeps a default provisioner from answering the claim.
      spec: { accessModes, storageClassName: '', volumeName, resources: { requests: storage } }
    })
    const volume = new k8s.KubePersistentVolume(this, 'Volume', {
      metadata: { name: volumeName, labels },
      spec: {
        accessModes,
        capacity: storage,
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path: props.path, type: 'Directory' },
        ...(namespace === undefined ? {} : { claimRef: { namespace, name: props.name } })
      }
    })
    // A volume belongs to the cluster; the chart gives each object its namespace.
    volume.addJsonPatch(JsonPatch.remove('/metadata/namespace'))
    this.source = { persistentVolumeClaim: { claimName: props.name } }
    const warmUp = planWarmUp(props, true)
    if (warmUp !== undefined) this.warmUp = warmUp
  }
}

function cacheLabels(name: string): Record<string, string> {
  return labelsOf({ name: 'model-cache', instance: name, component: 'model-cache' })
}
