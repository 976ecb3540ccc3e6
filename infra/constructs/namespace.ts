// The namespace of a region, in which Kubernetes itself refuses a pod that is not restricted.
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'

/** Properties of `Namespace`. */
export interface NamespaceProps {
  /** `metadata.name`; an RFC 1123 label. */
  readonly name: string
}

/** A Namespace that enforces the Pod Security standard `restricted`. */
export class Namespace extends Construct {
  /** What the objects in it have for `metadata.namespace`. */
  readonly name: string

  constructor(scope: Construct, id: string, props: NamespaceProps) {
    super(scope, id)
    this.name = props.name
    new k8s.KubeNamespace(this, 'Resource', {
      metadata: {
        name: props.name,
        labels: {
          ...labelsOf({ name: 'sluice', instance: props.name, component: 'namespace' }),
          // https://kubernetes.io/docs/concepts/security/pod-security-admission/
          ...Object.fromEntries(
            ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted'])
          )
        }
      }
    })
  }
}
