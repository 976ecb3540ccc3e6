// The schema of autoscaling: within which bounds engines and gateways are added and taken away, and on what signs.
import { z } from 'zod'
import { crossCheck, type Problem, pickValid } from './parts.ts'

const replicas = z.int().max(1000)

function findBoundProblems({ minReplicas, maxReplicas }: { minReplicas?: number; maxReplicas?: number }): Problem[] {
  if (minReplicas === undefined || maxReplicas === undefined || minReplicas <= maxReplicas) return []
  return [[['maxReplicas'], `${maxReplicas} is less than minReplicas ${minReplicas}; raise it`]]
}

const engineShape = z.strictObject({
  /** With 0 the engines go while nobody asks, and the first request waits in the gateway until the model is loaded. */
  minReplicas: replicas.min(0).default(1),
  maxReplicas: replicas.min(1),
  /** Requests that may wait, at the gateway or in the engine, for each engine. */
  waitingPerEngine: z.int().min(1).max(100_000).default(8),
  /** How much of an engine's `maxNumSeqs` may run, 0 to 1, before there is one more. */
  activeShare: z.number().gt(0).max(1).default(0.8),
  /** How much of an engine's KV cache may be in use, 0 to 1, before there is one more. */
  kvUsage: z.number().gt(0).max(1).default(0.8),
  /** How often KEDA looks whether to leave zero, in seconds. */
  pollSeconds: z.int().min(5).max(300).default(15),
  /** Seconds of calm before engines go. Default: the model's loadSeconds, so none goes that would be loaded anew at once. */
  cooldownSeconds: z.int().min(0).max(86_400).exactOptional()
})

/** How many engines of a placement there are. */
export const engineScalingSchema = crossCheck(engineShape, (written) =>
  findBoundProblems(pickValid(engineShape, written))
)

const gatewayShape = z.strictObject({
  /** At least two, so a node may be drained. */
  minReplicas: replicas.min(2, 'use at least 2: one gateway is an outage at every drain of a node').default(2),
  maxReplicas: replicas.min(2),
  /** Requests at the engines and in the queue for each gateway. Only with KEDA. */
  requestsPerGateway: z.int().min(1).max(100_000).default(500),
  /** Percent of the requested CPU. */
  cpuPercent: z.int().min(10).max(200).default(70)
})

/** How many gateways of a region there are. */
export const gatewayScalingSchema = crossCheck(gatewayShape, (written) =>
  findBoundProblems(pickValid(gatewayShape, written))
)
