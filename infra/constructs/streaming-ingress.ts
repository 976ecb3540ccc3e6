// The way in from outside: an Ingress over TLS for the API's paths, told by a profile to leave streams alone.
import { ApiObject } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import type { Backend, IngressProfile, StreamLimits } from './ingress-profiles/profile.ts'

/** Properties of `StreamingIngress`. */
export interface StreamingIngressProps {
  /** `metadata.name` of the Ingress. */
  readonly name: string
  /** What the controller has to be told. */
  readonly profile: IngressProfile
  /** How long a stream may last, and how large a body may be. */
  readonly limits: StreamLimits
  /** The DNS name that clients call. */
  readonly host: string
  /** The Secret of type kubernetes.io/tls in the same namespace. */
  readonly secretName: string
  /** The cert-manager ClusterIssuer that fills the Secret. @default none: the Secret is made by somebody else */
  readonly clusterIssuer?: string
  /** The IngressClass of the controller. @default the profile's */
  readonly ingressClassName?: string
  /** The Service that is routed to, and its port. */
  readonly backend: Backend & { readonly port: number }
}

/** Only the API is routed: health, readiness and metrics stay inside the cluster. */
const PUBLIC_PATH = '/v1'

/** An Ingress with the profile's annotations, and the controller's own objects beside it. */
export class StreamingIngress extends Construct {
  /** What whoever runs the controller has to set there. */
  readonly notices: readonly string[]

  constructor(scope: Construct, id: string, props: StreamingIngressProps) {
    super(scope, id)
    const { profile, limits } = props
    const labels = labelsOf({ name: 'sluice-ingress', instance: props.name, component: 'ingress' })
    this.notices = profile.notices(limits)

    new k8s.KubeIngress(this, 'Resource', {
      metadata: { name: props.name, labels, annotations: renderAnnotations(props) },
      spec: {
        ingressClassName: props.ingressClassName ?? profile.ingressClassName,
        tls: [{ hosts: [props.host], secretName: props.secretName }],
        rules: [{ host: props.host, http: { paths: [renderPath(props)] } }]
      }
    })
    for (const { apiVersion, kind, name, spec } of profile.objects(limits, props.backend)) {
      new ApiObject(this, `${kind}-${name}`, { apiVersion, kind, metadata: { name, labels }, spec })
    }
  }
}

function renderAnnotations(props: StreamingIngressProps): Record<string, string> {
  return {
    ...props.profile.annotations(props.limits, props.backend),
    ...(props.clusterIssuer === undefined
      ? {}
      : { 'cert-manager.io/cluster-issuer': props.clusterIssuer, ...props.profile.certificateAnnotations })
  }
}

function renderPath(props: StreamingIngressProps): k8s.HttpIngressPath {
  return {
    path: PUBLIC_PATH,
    pathType: 'Prefix',
    backend: { service: { name: props.backend.serviceName, port: { number: props.backend.port } } }
  }
}
