// The schema of a region's gateway.
import { z } from 'zod'
import { corsOriginsSchema, webSocketSchema } from '../../gateway/contract.ts'
import { gatewayScalingSchema } from './autoscaling.ts'
import { crossCheck, image, type Problem, pickValid, secretKey } from './parts.ts'
import { streamsSchema } from './streams.ts'

const gatewayShape = z.strictObject({
  image,
  /** At least two, so a node may be drained. */
  replicas: z.int().min(2, 'use at least 2: one gateway is an outage at every drain of a node').max(1000).default(2),
  /** In place of `replicas`: by requests and CPU with KEDA, by CPU alone without it. */
  autoscaling: gatewayScalingSchema.exactOptional(),
  /** The Secret with the file of hashed API keys. Gateways take a changed one without a restart. */
  keysSecret: secretKey,
  cpu: z.number().positive().max(64).exactOptional(),
  memoryMiB: z.int().min(128).max(65_536).exactOptional(),
  /** Largest request body in bytes; gateway and ingress agree on it. */
  maxBodyBytes: z.int().min(1024).max(1_073_741_824).default(10_485_760),
  /** Largest upload of audio in bytes; it passes through. The ingress lets it in where a model transcribes. Default: 25 MiB. */
  maxUploadBytes: z.int().min(1024).max(1_073_741_824).exactOptional(),
  corsOrigins: corsOriginsSchema.exactOptional(),
  /** True shows the console, a page to chat and to watch an answer arrive, at `/` of every host. It wants a key. */
  console: z.boolean().default(false),
  /** Resumable streams. Default: in memory, with the gateway's own bounds. */
  streams: streamsSchema.exactOptional(),
  /** The bounds of WebSockets. Default: the gateway's own. */
  websocket: webSocketSchema.exactOptional()
})

/** What a pod has when the stack says nothing (`GatewayContainerProps`). */
const DEFAULT_MEMORY_MIB = 1024
/** Bodies in flight are in memory, and a pod that runs out of it cuts every stream: a few of the largest have to fit. */
const LARGEST_BODIES = 4
const MEBIBYTE = 1024 * 1024

/** What WebSockets remember, and resumable streams, may each take so much of a pod's memory. */
const MEMORY_SHARE = 0.5

/** A region's gateway, its memory held against the bodies that it takes and what its WebSockets and streams remember. */
export const gatewaySchema = crossCheck(gatewayShape, (written) => {
  const { maxBodyBytes = 0, websocket, streams, memoryMiB = DEFAULT_MEMORY_MIB } = pickValid(gatewayShape, written)
  return [
    ...checkBodies(['maxBodyBytes'], maxBodyBytes, memoryMiB),
    ...checkBodies(['websocket', 'maxMessageBytes'], websocket?.maxMessageBytes ?? 0, memoryMiB),
    ...checkHistory(websocket?.historyBytes ?? 0, memoryMiB),
    ...checkStreams(streams?.maxTotalBytes ?? 0, memoryMiB)
  ]
})

function checkBodies(field: string[], bytes: number, memoryMiB: number): Problem[] {
  if (bytes * LARGEST_BODIES <= memoryMiB * MEBIBYTE) return []
  const needed = Math.ceil((bytes * LARGEST_BODIES) / MEBIBYTE)
  return [
    [
      field,
      `${LARGEST_BODIES} bodies of ${bytes} bytes don't fit into memoryMiB ${memoryMiB}, and whoever has a key may send them; raise memoryMiB to ${needed}, or lower it`
    ]
  ]
}

function checkHistory(bytes: number, memoryMiB: number): Problem[] {
  if (bytes <= memoryMiB * MEBIBYTE * MEMORY_SHARE) return []
  const needed = Math.ceil(bytes / MEBIBYTE / MEMORY_SHARE)
  return [
    [
      ['websocket', 'historyBytes'],
      `what WebSockets remember may fill ${bytes} bytes, more than half of memoryMiB ${memoryMiB}; raise memoryMiB to ${needed}, or lower it`
    ]
  ]
}

function checkStreams(bytes: number, memoryMiB: number): Problem[] {
  if (bytes <= memoryMiB * MEBIBYTE * MEMORY_SHARE) return []
  const needed = Math.ceil(bytes / MEBIBYTE / MEMORY_SHARE)
  return [
    [
      ['streams', 'maxTotalBytes'],
      `${bytes} bytes of streams take more than half of memoryMiB ${memoryMiB}; raise memoryMiB to ${needed}, or lower it`
    ]
  ]
}
