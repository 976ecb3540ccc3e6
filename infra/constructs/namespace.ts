// The namespace of a region, in which Kubernetes itself refuses a pod that is not as restricted as the region's are.
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import type { PodSecurityLevel } from '../lib/pod-security.ts'

/** Properties of `Namespace`. */
export interface NamespaceProps {
  /** `metadata.name`; an RFC 1123 label. */
  readonly name: string
  /** The Pod Security standard that a pod is refused by; `restricted` warns and is audited in any case. @default restricted */
  readonly enforce?: PodSecurityLevel
  /** Labels that controllers look for. @default none */
  readonly labels?: Readonly<Record<string, string>>
}

/** A Namespace that enforces a Pod Security standard. */
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
          ...props.labels,
          ...labelsOf({ name: 'sluice', instance: props.name, component: 'namespace' }),
          // https://kubernetes.io/docs/concepts/security/pod-security-admission/
          'pod-security.kubernetes.io/enforce': props.enforce ?? 'restricted',
          'pod-security.kubernetes.io/audit': 'restricted',
          'pod-security.kubernetes.io/warn': 'restricted'
        }
      }
    })
  }
}
