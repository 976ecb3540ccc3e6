// How long a request waits in the gateway's queue when there is no engine yet.

/** Finding a node that is there and starting a container whose image is there; a new node takes longer: write `queueMs`. */
const START_SECONDS = 60

/** The longest wait that a queue may be given, in ms (the gateway's configuration). */
export const MAX_QUEUE_MS = 3_600_000

/** The wait for the first engine, in ms: KEDA sees the queue, the pod starts, the model loads. */
export function firstEngineMs(loadSeconds: number, pollSeconds: number): number {
  return (pollSeconds + START_SECONDS + loadSeconds) * 1000
}
