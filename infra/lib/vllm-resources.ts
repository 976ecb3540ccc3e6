// The memory of an engine that a stack does not size, by its GPUs.

/** Host memory in GiB, shared memory included. */
export const defaultMemoryGiB = (gpus: number) => 32 * gpus

/** Size of /dev/shm in GiB: tensor-parallel workers talk through it. */
export const defaultSharedMemoryGiB = (gpus: number) => (gpus > 1 ? 8 : 2)
