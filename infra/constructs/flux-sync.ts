// Flux's two objects for a region: the repository that it follows, and the Kustomization that applies the region's folder.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'

/** Properties of `FluxSync`. */
export interface FluxSyncProps {
  /** `metadata.name` of both objects. */
  readonly name: string
  /** Flux's own namespace. @default flux-system */
  readonly namespace?: string
  /** `https://…` or `ssh://…`. */
  readonly url: string
  /** What of the repository is applied. */
  readonly ref: { readonly branch: string } | { readonly tag: string } | { readonly commit: string }
  /** The folder of the repository with the region's kustomization. */
  readonly path: string
  /** The Secret that a private repository is read with, in Flux's namespace. @default none */
  readonly secretName?: string
  /** Deletes what is no longer in the repository. @default true */
  readonly prune?: boolean
  /** Seconds between two looks at the repository, and between two repairs of the cluster. @default 300 */
  readonly intervalSeconds?: number
}

/** A GitRepository and a Kustomization, for the Flux of the region's own cluster. */
export class FluxSync extends Construct {
  constructor(scope: Construct, id: string, props: FluxSyncProps) {
    super(scope, id)
    const interval = `${props.intervalSeconds ?? 300}s`
    const metadata = {
      name: props.name,
      namespace: props.namespace ?? 'flux-system',
      labels: labelsOf({ name: 'sluice', instance: props.name, component: 'gitops' })
    }
    new ApiObject(this, 'Source', {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata,
      spec: {
        interval,
        url: props.url,
        ref: { ...props.ref },
        ...(props.secretName === undefined ? {} : { secretRef: { name: props.secretName } })
      }
    })
    new ApiObject(this, 'Resource', {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata,
      spec: {
        interval,
        retryInterval: '60s',
        path: `./${props.path}`,
        prune: props.prune ?? true,
        // Not before the engines are loaded: a wait would hold the next commit, a roll-back too, behind a stuck rollout.
        wait: false,
        // A Kustomization that is deleted leaves the region running; a Flux before 2.5 does not know the field.
        deletionPolicy: 'Orphan',
        sourceRef: { kind: 'GitRepository', name: props.name }
      }
    })
  }
}
