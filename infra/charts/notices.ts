// What a stack's manifests take for granted of the cluster, and what of the stack is left unused.
import { profileOf } from '../lib/accelerators.ts'
import type { Region, Stack } from '../schema.ts'
import type { PlacedModel } from './gateway-config.ts'

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

/** A sentence for each placed model whose pods may find the devices and not be allowed to open them. */
export function noticeDeviceGroups(placed: readonly PlacedModel[]): string[] {
  return placed
    .filter(
      ({ model, placement }) => profileOf(model.accelerator).needsDeviceGroup && placement.deviceGroups === undefined
    )
    .map(
      ({ model }) =>
        `model ${model.name}: user 2000 must be allowed to open the nodes' /dev/dri and /dev/kfd; give deviceGroups the number that \`getent group render\` says there, or open them by a udev rule.`
    )
}
