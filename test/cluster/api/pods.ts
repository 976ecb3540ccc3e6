// The pods that a region's workloads make, one of each template: Pod Security only warns of a Deployment, and refuses the pod.
import { podTemplatesOf } from '../../infra/leader-worker-set-schema.ts'
import type { Manifest } from '../../infra/stacks.ts'

/** A bare pod of each template of each workload. */
export function podsOf(objects: readonly Manifest[]): Manifest[] {
  return objects.flatMap((object) => {
    if (object.kind === 'LeaderWorkerSet') {
      return podTemplatesOf(object).map((one, index) => podOf(one, `${object.metadata.name}-${index}`))
    }
    return object.spec?.template?.spec?.containers === undefined ? [] : [podOf(object, object.metadata.name)]
  })
}

function podOf({ metadata, spec }: Manifest, name: string): Manifest {
  const { labels, annotations } = spec.template.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: metadata.namespace, labels, annotations },
    spec: spec.template.spec
  }
}
