// Which Kubernetes first knows a field, and takes it without a feature gate, for fields that are newer than the oldest minor.
import { KUBERNETES_MINORS, type KubernetesMinor } from '../../infra/schema/cluster.ts'
import type { Manifest } from './stacks.ts'

type Since = Readonly<Record<string, KubernetesMinor>>

/**
 * Fields below a pod's spec; `*` is any one key, and lists have no step of their own. Compared from the types of
 * k8s.io/api 0.28 to 0.37 (core/v1/types.go); where a feature gate is off at first, the minor that turns it on.
 * https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/
 */
const POD_FIELDS: Since = {
  'affinity.*.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.matchLabelKeys': '1.31',
  'affinity.*.preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.mismatchLabelKeys': '1.31',
  'affinity.*.requiredDuringSchedulingIgnoredDuringExecution.matchLabelKeys': '1.31',
  'affinity.*.requiredDuringSchedulingIgnoredDuringExecution.mismatchLabelKeys': '1.31',
  '*.env.valueFrom.fileKeyRef': '1.35',
  '*.lifecycle.*.httpGet.protocol': '1.37',
  '*.lifecycle.*.sleep': '1.30',
  '*.lifecycle.stopSignal': '1.33',
  '*.livenessProbe.grpc.mode': '1.37',
  '*.livenessProbe.httpGet.protocol': '1.37',
  '*.readinessProbe.grpc.mode': '1.37',
  '*.readinessProbe.httpGet.protocol': '1.37',
  '*.startupProbe.grpc.mode': '1.37',
  '*.startupProbe.httpGet.protocol': '1.37',
  '*.resources.claims': '1.34',
  '*.restartPolicyRules': '1.35',
  '*.securityContext.appArmorProfile': '1.30',
  '*.volumeMounts.bindMountOptions': '1.37',
  '*.volumeMounts.recursiveReadOnly': '1.31',
  'initContainers.restartPolicy': '1.29',
  evictionResponders: '1.37',
  hostUsers: '1.33',
  hostnameOverride: '1.35',
  resourceClaims: '1.34',
  resources: '1.34',
  schedulingGroup: '1.36',
  'securityContext.appArmorProfile': '1.30',
  'securityContext.seLinuxChangePolicy': '1.33',
  'securityContext.supplementalGroupsPolicy': '1.33',
  'volumes.*.defaultUser': '1.37',
  'volumes.*.items.user': '1.37',
  'volumes.emptyDir.mode': '1.37',
  'volumes.ephemeral.volumeClaimTemplate.spec.volumeAttributesClassName': '1.34',
  'volumes.image': '1.35',
  'volumes.projected.sources.clusterTrustBundle': '1.33',
  'volumes.projected.sources.podCertificate': '1.34',
  'volumes.projected.sources.*.items.user': '1.37',
  'volumes.projected.sources.serviceAccountToken.user': '1.37'
}

/** Fields of other objects, by kind. */
const OBJECT_FIELDS: Readonly<Record<string, Since>> = {
  CronJob: { 'spec.jobTemplate.spec.managedBy': '1.32', 'spec.jobTemplate.spec.successPolicy': '1.31' },
  HorizontalPodAutoscaler: { 'spec.behavior.*.tolerance': '1.35' },
  Job: { 'spec.managedBy': '1.32', 'spec.scheduling': '1.37', 'spec.successPolicy': '1.31' },
  PersistentVolume: { 'spec.volumeAttributesClassName': '1.34' },
  PersistentVolumeClaim: { 'spec.volumeAttributesClassName': '1.34' },
  Service: { 'spec.trafficDistribution': '1.31' },
  StatefulSet: { 'spec.volumeClaimTemplates.spec.volumeAttributesClassName': '1.34' }
}

/** Whole kinds that are newer than the oldest minor, by group and kind. */
const KINDS: Since = {
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy': '1.30',
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding': '1.30',
  'networking.k8s.io/v1 IPAddress': '1.33',
  'networking.k8s.io/v1 ServiceCIDR': '1.33',
  'resource.k8s.io/v1 DeviceClass': '1.34',
  'resource.k8s.io/v1 ResourceClaim': '1.34',
  'resource.k8s.io/v1 ResourceClaimTemplate': '1.34',
  'storage.k8s.io/v1 VolumeAttributesClass': '1.34'
}

/** What of an object a cluster of `minor` would drop or refuse. */
export function findTooNew(object: Manifest, minor: KubernetesMinor): string[] {
  const isNewer = (since: KubernetesMinor) => KUBERNETES_MINORS.indexOf(since) > KUBERNETES_MINORS.indexOf(minor)
  const say = (what: string, since: KubernetesMinor) =>
    `${what} needs Kubernetes ${since}, and the cluster has ${minor}`
  const kind = KINDS[`${object.apiVersion} ${object.kind}`]
  const within = (value: unknown, fields: Since) =>
    Object.entries(fields).flatMap(([path, since]) =>
      isNewer(since) && hasPath(value, path.split('.')) ? [say(`${object.kind} ${path}`, since)] : []
    )
  return [
    ...(kind !== undefined && isNewer(kind) ? [say(object.kind, kind)] : []),
    ...within(object, OBJECT_FIELDS[object.kind] ?? {}),
    ...findPodSpecs(object).flatMap((spec) => within(spec, POD_FIELDS))
  ]
}

function hasPath(value: unknown, [key, ...rest]: readonly string[]): boolean {
  if (Array.isArray(value)) return value.some((item) => hasPath(item, key === undefined ? [] : [key, ...rest]))
  if (key === undefined) return value !== undefined
  if (typeof value !== 'object' || value === null) return false
  const inner = Object.entries(value).filter(([name]) => key === '*' || name === key)
  return inner.some(([, one]) => hasPath(one, rest))
}

/** Pod specs at any depth: an operator's kinds nest them as they like. */
function findPodSpecs(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  return [
    ...(Array.isArray((value as Manifest).containers) ? [value] : []),
    ...Object.values(value).flatMap(findPodSpecs)
  ]
}
