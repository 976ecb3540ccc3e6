// The labels of every object, and the selector, which holds only what never changes.

/** Who an object belongs to. */
export interface Identity {
  /** The program: `vllm`, `sluice-gateway`. */
  readonly name: string
  /** This one of its kind in the namespace: `engine-llama-8b`. */
  readonly instance: string
  /** The program's version, a label that selectors never hold. */
  readonly version?: string
  readonly component: 'engine' | 'gateway' | 'ingress' | 'model-cache' | 'monitoring' | 'namespace'
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

function toLabelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 63)
    .replace(/[^A-Za-z0-9]+$/, '')
}
