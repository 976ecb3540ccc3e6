// The CPU and memory of an engine's pod that a stack does not size, by its GPUs.
import { type Accelerator, profileOf } from './accelerators.ts'

/** CPU cores that are requested; an engine without GPUs computes on them. */
export const defaultCpu = (gpus: number) => (gpus === 0 ? 16 : 4 * gpus)

/** Host memory in GiB, shared memory included. */
export const defaultMemoryGiB = (gpus: number) => 32 * Math.max(1, gpus)

/** Size of /dev/shm in GiB: tensor-parallel workers talk through it. */
export function defaultSharedMemoryGiB(accelerator: Accelerator | undefined, gpus: number): number {
  const { one, several } = profileOf(accelerator).sharedMemoryGiB
  return gpus > 1 ? several : one
}
