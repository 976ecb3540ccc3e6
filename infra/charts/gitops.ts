// The GitOps objects of a stack: what a controller needs to follow every region's folder.
import { posix } from 'node:path'
import { Chart } from 'cdk8s'
import { Construct } from 'constructs'
import { ArgoApplicationSet } from '../constructs/argo-application-set.ts'
import { FluxSync } from '../constructs/flux-sync.ts'
import type { Environment } from '../schema.ts'

type Revision = { readonly branch: string } | { readonly tag: string } | { readonly commit: string }

/**
 * Argo CD 2 marks what it owns by this label unless told otherwise, in pod templates too, and selectors hold it.
 * https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
 */
const TRACKING_NOTICE =
  'argocd: before version 3, set application.resourceTrackingMethod to annotation in argocd-cm; otherwise Argo CD overwrites the label app.kubernetes.io/instance, and its Deployments are refused.'

/** Properties of `GitopsDelivery`. */
export interface GitopsDeliveryProps {
  /** The checked stacks; those without `gitops` are left out. */
  readonly environments: readonly Environment[]
}

/**
 * One folder for each controller: `argocd/<stack>[-<environment>].yaml` for the cluster that runs Argo CD, and
 * `flux/[<environment>/]<region>.yaml` for each region's own cluster.
 */
export class GitopsDelivery extends Construct {
  /** What whoever runs the controllers has to set there. */
  readonly notices: readonly string[]

  constructor(scope: Construct, id: string, { environments }: GitopsDeliveryProps) {
    super(scope, id)
    const following = environments.filter(({ stack }) => stack.gitops !== undefined)
    const argocd = following.filter(({ stack }) => stack.gitops?.kind !== 'flux')
    const flux = following.filter(({ stack }) => stack.gitops?.kind !== 'argocd')
    this.notices = argocd.length > 0 ? [TRACKING_NOTICE] : []
    if (argocd.length > 0) deliverByArgo(new Construct(this, 'argocd'), argocd)
    if (flux.length > 0) deliverByFlux(new Construct(this, 'flux'), flux)
  }
}

function deliverByArgo(folder: Construct, environments: readonly Environment[]): void {
  for (const environment of environments) {
    const { gitops, regions } = environment.stack
    if (gitops === undefined) continue
    const name = nameOf(environment)
    new ArgoApplicationSet(new Chart(folder, name), 'Regions', {
      ...gitops.argocd,
      name,
      repoURL: gitops.repoURL,
      targetRevision: targetOf(gitops.revision),
      prune: gitops.prune,
      regions: regions.map((region) => ({
        name: nameOf(environment, region.name),
        region: region.name,
        path: pathOf(environment, gitops.path, region.name),
        cluster: gitops.argocd.clusters[region.name] ?? region.name,
        namespace: region.namespace
      }))
    })
  }
}

function deliverByFlux(folder: Construct, environments: readonly Environment[]): void {
  for (const environment of environments) {
    const { gitops, regions } = environment.stack
    if (gitops === undefined) continue
    const scope = environment.name === undefined ? folder : new Construct(folder, environment.name)
    for (const region of regions) {
      new FluxSync(new Chart(scope, region.name), 'Region', {
        ...gitops.flux,
        name: nameOf(environment, region.name),
        url: gitops.repoURL,
        ref: gitops.revision,
        path: pathOf(environment, gitops.path, region.name),
        prune: gitops.prune
      })
    }
  }
}

function nameOf({ name, stack }: Environment, ...region: readonly string[]): string {
  return [stack.name, ...(name === undefined ? [] : [name]), ...region].join('-')
}

function pathOf({ name }: Environment, root: string, region: string): string {
  return posix.join(root, name ?? '', region)
}

function targetOf(revision: Revision): string {
  if ('branch' in revision) return revision.branch
  return 'tag' in revision ? revision.tag : revision.commit
}
