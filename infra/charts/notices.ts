// What a stack's manifests take for granted of the cluster, and what of the stack is left unused.
import { ADMISSION_MINOR, admissionOf } from '../schema/admission.ts'
import { enforcedLevelOf } from '../schema/pod-security.ts'
import type { Region, Stack } from '../schema.ts'

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
export function noticeSharedClaims({ placements }: Region): string[] {
  const classes = placements.flatMap(({ cache }) =>
    cache.kind === 'new-claim' && cache.accessMode === 'ReadWriteMany' ? [cache.storageClassName ?? ''] : []
  )
  return [...new Set(classes)].map((name) => {
    const which = name === '' ? "the cluster's default storage class" : `storage class ${name}`
    return `${which} must offer ReadWriteMany, which block storage does not, in directories that user 2000 or group 0 may write.`
  })
}

/** A sentence for each exception from Pod Security `restricted`, with what it means for the namespace. */
export function noticeExceptions(region: Region): string[] {
  const level = enforcedLevelOf(region)
  return region.podSecurityExceptions.map(
    ({ model, need, reason }) =>
      `region ${region.name}: engines of ${model} are not restricted, ${need}: ${reason.replace(/\.$/, '')}. So namespace ${region.namespace} enforces ${level}.`
  )
}

/** A sentence for a cluster whose API server is too old to refuse anything, unless the stack says that it shall not. */
export function noticeAdmission(region: Region): string[] {
  if (region.admission !== undefined || admissionOf(region) !== 'none') return []
  const { kubernetes } = region.cluster
  return [
    `region ${region.name}: admission policies need Kubernetes ${ADMISSION_MINOR}, so none are made; set cluster.kubernetes if it is newer than ${kubernetes}, or admission: 'none'.`
  ]
}
