// The labels of every object, and the selector, which holds only what never changes.
import { ApiObject } from 'cdk8s'
import type { IConstruct } from 'constructs'

/** Who an object belongs to. */
export interface Identity {
  /** The program: `vllm`, `sluice-gateway`. */
  readonly name: string
  /** This one of its kind in the namespace: `engine-llama-8b`. */
  readonly instance: string
  /** The program's version, a label that selectors never hold. */
  readonly version?: string
  readonly component:
    | 'admission'
    | 'engine'
    | 'gateway'
    | 'gitops'
    | 'ingress'
    | 'model-cache'
    | 'monitoring'
    | 'namespace'
    | 'network'
    | 'secret'
}

/** Kubernetes' recommended labels. https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
export function labelsOf(identity: Identity): Record<string, string> {
  return {
    ...selectorOf(identity),
    ...(identity.version === undefined ? {} : { 'app.kubernetes.io/version': toLabelValue(identity.version) }),
    'app.kubernetes.io/component': identity.component,
    'app.kubernetes.io/part-of': 'sluice',
    'app.kubernetes.io/managed-by': 'cdk8s'
  }
}

/** A Deployment's selector is immutable: a version in it would make the next upgrade a delete and a create. */
export function selectorOf(identity: Pick<Identity, 'name' | 'instance'>): Record<string, string> {
  return { 'app.kubernetes.io/name': identity.name, 'app.kubernetes.io/instance': identity.instance }
}

/**
 * The label by which `kubectl apply --prune -l` and `kubectl get -l` know everything of one region. It stands on objects
 * only, never in a selector or a pod template: a new value rolls nothing.
 */
export const REGION_LABEL = 'sluice.dev/region'

/** The value of `REGION_LABEL`: `<stack>.<region>`, or `<stack>.<environment>.<region>`; 63 characters at most. */
export function regionLabelValue(stack: string, environment: string | undefined, region: string): string {
  return [stack, ...(environment === undefined ? [] : [environment]), region].join('.')
}

/** Puts a label on every object below `root`; pod templates and selectors keep theirs. */
export function labelObjects(root: IConstruct, key: string, value: string): void {
  for (const object of root.node.findAll()) if (ApiObject.isApiObject(object)) object.metadata.addLabel(key, value)
}

function toLabelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63)
    .replace(/[^A-Za-z0-9]+$/, '')
}
