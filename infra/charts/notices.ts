// What a stack's manifests take for granted of the cluster, and what of the stack is left unused.
import type { Origin } from '../constructs/ingress-profiles/profile.ts'
import { rolloutOf } from '../constructs/vllm-deployment.ts'
import { profileOf } from '../lib/accelerators.ts'
import { isBucket, isRepository } from '../lib/vllm-settings.ts'
import { ADMISSION_MINOR, admissionOf } from '../schema/admission.ts'
import { enforcedLevelOf } from '../schema/pod-security.ts'
import type { Region, Stack } from '../schema.ts'
import type { PlacedModel } from './gateway-config.ts'
import { noticeHosts } from './way-in.ts'

/** What whoever runs a region's cluster has to see to, beyond what its way in takes for granted. */
export function noticeRegion(region: Region, placed: readonly PlacedModel[], origin: Origin): string[] {
  return [
    ...noticeHosts(region),
    ...noticeOrigin(region, origin),
    ...noticeSharedClaims(region),
    ...noticeSource(region, placed),
    ...noticeScrapes(region),
    ...noticeStreams(region),
    ...noticeDeviceGroups(placed),
    ...noticeSurges(region, placed),
    ...noticeOverloads(region, placed),
    ...noticeGroupController(region, placed),
    ...noticeExceptions(region),
    ...noticeAdmission(region)
  ]
}

/** A sentence for each model that no region places: a stack that has it makes nothing of it. */
export function noticeUnplaced({ models, regions }: Stack): string[] {
  const placed = new Set(regions.flatMap((region) => region.placements.map(({ model }) => model)))
  return models
    .filter(({ name }) => !placed.has(name))
    .map(({ name }) => `model ${name} is placed in no region, so nothing is made for it.`)
}

/**
 * A sentence for each storage class that has to share files. Drivers of shared file systems mostly leave `fsGroup` alone
 * (https://kubernetes.io/docs/tasks/configure-pod-container/security-context/), and engines run as user 2000, group 0.
 */
function noticeSharedClaims({ placements }: Region): string[] {
  const classes = placements.flatMap(({ cache }) =>
    cache.kind === 'new-claim' && cache.accessMode === 'ReadWriteMany' ? [cache.storageClassName ?? ''] : []
  )
  return [...new Set(classes)].map((name) => {
    const which = name === '' ? "the cluster's default storage class" : `storage class ${name}`
    return `${which} must offer ReadWriteMany, which block storage does not, in directories that user 2000 or group 0 may write.`
  })
}

/** A sentence where nobody can know from where the way in reaches the gateway, unless the region says it. */
function noticeOrigin({ ingress, network, networkPolicy }: Region, origin: Origin): string[] {
  if (networkPolicy === 'none' || network.ingressController !== undefined) return []
  if (origin === 'cilium' || origin.guess === undefined) return []
  return [`${ingress.controller}: ${origin.guess}; name them in network.ingressController.`]
}

/** A sentence for each placed model that has to be downloaded where engines are offline, or the network lets no pod download. */
function noticeSource({ name: region, network, networkPolicy }: Region, placed: readonly PlacedModel[]): string[] {
  if (network.modelSource !== 'none') return []
  return placed.flatMap(({ model: { name, settings }, placement: { cache } }) => {
    const { model } = settings
    const isWarmed = 'warmUp' in cache && cache.warmUp
    if (networkPolicy === 'none' && (isBucket(model) || isWarmed)) return []
    if (isBucket(model))
      return [`region ${region}: model ${name} is read from ${model}, and network.modelSource is none.`]
    if (!isRepository(model)) return []
    if (cache.kind === 'empty-dir')
      return [`region ${region}: network.modelSource is none and the cache of ${name} begins empty, so it never loads.`]
    const what = isWarmed ? 'the pinned commit' : 'the model'
    return [`region ${region}: network.modelSource is none, so the cache of ${name} has to hold ${what} already.`]
  })
}

/** A sentence where KEDA scales by metrics that the network lets no Prometheus read. */
function noticeScrapes({ name, cluster, gateway, placements, network, networkPolicy }: Region): string[] {
  const isScaled = cluster.apis.includes('keda') && [gateway, ...placements].some(({ autoscaling }) => autoscaling)
  const isRead = network.prometheus !== 'none' && (network.prometheus ?? cluster.apis.includes('prometheus-operator'))
  if (!isScaled || isRead || networkPolicy === 'none') return []
  return [
    `region ${name}: KEDA scales by metrics of gateway and engines, and the network lets nobody read them; name the Prometheus in network.prometheus.`
  ]
}

/** A sentence where somebody counts on resumable streams, and readers that come back may meet a gateway that has none. */
function noticeStreams({ name, gateway }: Region): string[] {
  if (gateway.streams === undefined || gateway.streams.redis !== undefined) return []
  return [
    `region ${name}: resumable streams are in the memory of the gateway that runs them, and readers may reach another one; name a Redis in gateway.streams.redis.`
  ]
}

/** A sentence for each placed model whose pods may find the devices and not be allowed to open them. */
function noticeDeviceGroups(placed: readonly PlacedModel[]): string[] {
  return placed
    .filter(
      ({ model, placement }) => profileOf(model.accelerator).needsDeviceGroup && placement.deviceGroups === undefined
    )
    .map(
      ({ model }) =>
        `model ${model.name}: user 2000 must be allowed to open the nodes' /dev/dri and /dev/kfd; give deviceGroups the number that \`getent group render\` says there, or open them by a udev rule.`
    )
}

/** What a placement's rollout follows from. */
const rollingOf = ({ rollout, replicas, autoscaling }: PlacedModel['placement']) => ({
  replicas: autoscaling?.minReplicas ?? replicas,
  ...(rollout === undefined ? {} : { rollout })
})

/**
 * A sentence for each placed model that is rolled out by surge. Nobody can tell at synth what a cluster has to spare, and a
 * full one lets the rollout wait without an end.
 */
function noticeSurges({ name: region }: Region, placed: readonly PlacedModel[]): string[] {
  return placed.flatMap(({ model: { name, accelerator, gpus }, placement }) => {
    const { resource } = profileOf(accelerator)
    if (resource === undefined || rolloutOf(rollingOf(placement)) !== 'surge') return []
    return [
      `region ${region}: a new version of ${name} starts beside the old one, so ${gpus} of ${resource} have to be free; on a full cluster it waits for them, and the old one serves on. See rollout.`
    ]
  })
}

/**
 * A sentence for each placed model whose engines refuse what their gateways may send. A gateway with a line fills each place
 * that it frees, so those that come later find none.
 */
function noticeOverloads({ name: region, gateway }: Region, placed: readonly PlacedModel[]): string[] {
  const gateways = gateway.autoscaling?.maxReplicas ?? gateway.replicas
  return placed.flatMap(({ model: { name, settings } }) => {
    const { maxNumSeqs, maxNumQueuedReqs } = settings
    const most = maxNumSeqs * gateways
    if (maxNumQueuedReqs === undefined || maxNumQueuedReqs >= most) return []
    return [
      `region ${region}: ${gateways} gateways may send an engine of ${name} ${most} requests at once, and it refuses what is beyond ${maxNumQueuedReqs}, so under a load that lasts the first gateways keep what the others wait for; let maxNumQueuedReqs be ${most} or more, or leave it out.`
    ]
  })
}

/**
 * A sentence for each placed model of several nodes that is rolled out by surge. An older controller hands `maxUnavailable: 0`
 * on to a StatefulSet, which an API with its field on refuses (kubernetes-sigs/lws#776): there is no pod, and no event.
 */
function noticeGroupController({ name: region }: Region, placed: readonly PlacedModel[]): string[] {
  return placed
    .filter(({ model, placement }) => (model.nodes ?? 1) > 1 && rolloutOf(rollingOf(placement)) === 'surge')
    .map(
      ({ model }) =>
        `region ${region}: engines of ${model.name} need LeaderWorkerSet 0.9 or newer from Kubernetes 1.37 on, and wherever MaxUnavailableStatefulSet is on: an older one makes no pod of them.`
    )
}

/** A sentence for each exception from Pod Security `restricted`, with what it means for the namespace. */
function noticeExceptions(region: Region): string[] {
  const level = enforcedLevelOf(region)
  return region.podSecurityExceptions.map(
    ({ model, need, reason }) =>
      `region ${region.name}: engines of ${model} are not restricted, ${need}: ${reason.replace(/\.$/, '')}. So namespace ${region.namespace} enforces ${level}.`
  )
}

/** A sentence for a cluster whose API server is too old to refuse anything, unless the stack says that it shall not. */
function noticeAdmission(region: Region): string[] {
  if (region.admission !== undefined || admissionOf(region) !== 'none') return []
  const { kubernetes } = region.cluster
  return [
    `region ${region.name}: admission policies need Kubernetes ${ADMISSION_MINOR}, so none are made; set cluster.kubernetes if it is newer than ${kubernetes}, or admission: 'none'.`
  ]
}
