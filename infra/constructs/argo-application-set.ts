// Argo CD's ApplicationSet: one Application for each region, all from one template.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'

/** One region as Argo CD sees it. */
export interface ArgoRegion {
  /** `metadata.name` of its Application. */
  readonly name: string
  /** The region's name. */
  readonly region: string
  /** The folder of the repository with its kustomization. */
  readonly path: string
  /** The name under which Argo CD knows the cluster. */
  readonly cluster: string
  /** The region's namespace there. */
  readonly namespace: string
}

/** Properties of `ArgoApplicationSet`. */
export interface ArgoApplicationSetProps {
  /** `metadata.name` of the set. */
  readonly name: string
  /** Argo CD's own namespace. @default argocd */
  readonly namespace?: string
  /** The AppProject that allows repository and clusters. @default default */
  readonly project?: string
  /** The repository, as Argo CD reads it. */
  readonly repoURL: string
  /** A branch, a tag or a commit. */
  readonly targetRevision: string
  /** An Application each. */
  readonly regions: readonly ArgoRegion[]
  /** Deletes what is no longer in the repository. @default true */
  readonly prune?: boolean
}

/** A region that leaves the set leaves its objects running: a line lost in a merge must not stop a region. */
export class ArgoApplicationSet extends Construct {
  constructor(scope: Construct, id: string, props: ArgoApplicationSetProps) {
    super(scope, id)
    const labels = labelsOf({ name: 'sluice', instance: props.name, component: 'gitops' })
    new ApiObject(this, 'Resource', {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'ApplicationSet',
      metadata: { name: props.name, namespace: props.namespace ?? 'argocd', labels },
      spec: {
        goTemplate: true,
        goTemplateOptions: ['missingkey=error'],
        generators: [{ list: { elements: props.regions.map((region) => ({ ...region })) } }],
        syncPolicy: { preserveResourcesOnDeletion: true },
        template: {
          metadata: { name: '{{.name}}', labels },
          spec: renderApplication(props)
        }
      }
    })
  }
}

function renderApplication(props: ArgoApplicationSetProps) {
  return {
    project: props.project ?? 'default',
    source: { repoURL: props.repoURL, targetRevision: props.targetRevision, path: '{{.path}}' },
    destination: { name: '{{.cluster}}', namespace: '{{.namespace}}' },
    syncPolicy: {
      automated: { prune: props.prune ?? true, selfHeal: true },
      // Client-side apply keeps a copy of each object in an annotation of 256 KiB at most; a dashboard can be larger.
      syncOptions: ['ServerSideApply=true']
    }
  }
}
