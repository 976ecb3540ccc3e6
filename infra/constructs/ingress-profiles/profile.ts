// What an ingress controller has to be told so that a stream passes through it unbuffered and uncut.
import type { TimeBudget } from '../../../gateway/contract.ts'

/** The numbers that a profile renders, all derived from the time budget and the gateway's limits. */
export interface StreamLimits extends Pick<TimeBudget['ingress'], 'readTimeoutSeconds' | 'drainSeconds'> {
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number
}

/** The Service behind the ingress. */
export interface Backend {
  /** The Service's namespace, and the Ingress's. */
  readonly namespace: string
  /** The Service's name. */
  readonly serviceName: string
}

/** An object of the controller's own kind, as it stands in YAML. */
export interface ControllerObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly spec: Readonly<Record<string, unknown>>
}

/** One controller, pure: the same limits give the same strings. */
export interface IngressProfile {
  readonly name: string
  /** The IngressClass that the controller's own chart creates. */
  readonly ingressClassName: string
  /** Where the controller's own chart runs its pods, and their labels. */
  readonly controllerPods: { readonly namespace: string; readonly podLabels: Record<string, string> }
  /** Where the controller documents what is used here. */
  readonly docs: string
  /** Annotations of the Ingress. */
  annotations(limits: StreamLimits, backend: Backend): Record<string, string>
  /** Annotations of an Ingress whose certificate cert-manager fills. */
  readonly certificateAnnotations: Readonly<Record<string, string>>
  /** Annotations of the Service, for controllers that read them there. */
  serviceAnnotations(limits: StreamLimits, backend: Backend): Record<string, string>
  /** Objects of the controller's own kinds, in the Ingress's namespace. */
  objects(limits: StreamLimits, backend: Backend): readonly ControllerObject[]
  /** What no manifest of a namespace can set: for whoever runs the controller. */
  notices(limits: StreamLimits): readonly string[]
}
