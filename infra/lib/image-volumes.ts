// Mounts images as volumes, a field that the typed kinds, which end with Kubernetes 1.28, would drop without a word.
import { k8s } from 'cdk8s-plus-28'
import type { Construct } from 'constructs'

/** Images by the name of the volume that each becomes; containers mount them read-only. */
export type ImageVolumes = Readonly<Record<string, string>>

/** A pod's spec as it stands in YAML. */
interface PodJson {
  volumes?: unknown[]
}

/**
 * The pod's spec with the images as volumes. Kubernetes has them on from 1.35:
 * https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes
 */
export function addImageVolumes<T extends PodJson>(pod: T, images: ImageVolumes): T {
  const volumes = Object.entries(images).map(([name, reference]) => ({
    image: { pullPolicy: 'IfNotPresent', reference },
    name
  }))
  return volumes.length === 0 ? pod : { ...pod, volumes: [...(pod.volumes ?? []), ...volumes] }
}

/** A Deployment whose pods have images as volumes. */
export class ImageVolumeDeployment extends k8s.KubeDeployment {
  readonly #images: ImageVolumes

  constructor(scope: Construct, id: string, props: k8s.KubeDeploymentProps, images: ImageVolumes) {
    super(scope, id, props)
    this.#images = images
  }

  /** Renders the object to what stands in YAML. */
  override toJson(): unknown {
    const object = super.toJson()
    const { template } = object.spec
    const pod = addImageVolumes(template.spec, this.#images)
    return { ...object, spec: { ...object.spec, template: { ...template, spec: pod } } }
  }
}
