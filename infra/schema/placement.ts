// The schema of a placement: one model in one region, on which nodes and how it is rolled out.
import { z } from 'zod'
import { ENGINE_NAME, LABEL_KEY, LABEL_VALUE, OBJECT_NAME } from '../lib/names.ts'
import { engineScalingSchema } from './autoscaling.ts'
import { cacheSchema } from './cache.ts'
import { crossCheck, named, type Problem, pickValid } from './parts.ts'

const tolerationShape = z.strictObject({
  key: named(LABEL_KEY).exactOptional(),
  operator: z.enum(['Exists', 'Equal']).exactOptional(),
  value: named(LABEL_VALUE).exactOptional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).exactOptional(),
  tolerationSeconds: z.int().min(0).exactOptional()
})

/** The API server's own rules for tolerations, so that they are refused before an apply stops half-way. */
const tolerationSchema = crossCheck(tolerationShape, (written) => {
  const { operator = 'Equal', value, effect, tolerationSeconds } = pickValid(tolerationShape, written)
  const isNamed = (written as { key?: unknown } | null)?.key !== undefined
  const problems: Problem[] = []
  if (operator === 'Exists' && value) problems.push([['value'], 'operator Exists has no value; leave one of them out'])
  if (operator === 'Equal' && !isNamed) problems.push([['key'], 'name the taint, or use operator Exists'])
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    problems.push([['tolerationSeconds'], 'only effect NoExecute has it'])
  }
  return problems
})

const placementShape = z.strictObject({
  /** The `name` of one of the stack's models. */
  model: named(ENGINE_NAME),
  replicas: z.int().min(1).max(1000).default(1),
  /** In place of `replicas`; needs KEDA. */
  autoscaling: engineScalingSchema.exactOptional(),
  /** Default: in-place from two replicas on, surge for a single one. */
  rollout: z.enum(['surge', 'in-place', 'recreate']).exactOptional(),
  cache: cacheSchema,
  /** How many requests may wait for this model before the next gets 429. Default: the gateway's. */
  maxQueued: z.int().min(0).max(100_000).exactOptional(),
  /** How long a request waits for a free engine, in ms. Default: the gateway's; from zero engines, until the first is loaded. */
  queueMs: z.int().min(0).max(3_600_000).exactOptional(),
  nodeSelector: z.record(named(LABEL_KEY), named(LABEL_VALUE)).exactOptional(),
  tolerations: z.array(tolerationSchema).exactOptional(),
  priorityClassName: named(OBJECT_NAME).exactOptional(),
  runtimeClassName: named(OBJECT_NAME).exactOptional(),
  /** Numbers of the nodes' groups that own device files, as `getent group render` says them; AMD and Intel need it. */
  deviceGroups: z.array(z.int().min(1).max(2_147_483_647)).min(1).max(16).exactOptional(),
  /** Annotations of the engines' ServiceAccount, by which a cloud gives them an identity, to read a bucket for example. */
  serviceAccountAnnotations: z.record(named(LABEL_KEY), z.string()).exactOptional()
})

export const placementSchema = crossCheck(placementShape, (written) => {
  const { replicas, autoscaling, rollout, cache } = pickValid(placementShape, written)
  const [fewest, most] = [autoscaling?.minReplicas ?? replicas, autoscaling?.maxReplicas ?? replicas]
  const problems: Problem[] = []
  if (rollout === 'in-place' && fewest !== undefined && fewest <= 1) {
    problems.push([
      ['rollout'],
      'in-place stops the only replica; use surge with a spare GPU, two replicas, or recreate'
    ])
  }
  const alone = most === 1 && rollout === 'recreate'
  const claimed = cache?.kind === 'new-claim' || cache?.kind === 'claim'
  if (claimed && cache.accessMode === 'ReadWriteOnce' && !alone) {
    problems.push([
      ['cache', 'accessMode'],
      'ReadWriteOnce is mounted on one node, and a second pod may land on another; use ReadWriteMany, or one replica with rollout recreate'
    ])
  }
  return problems
})
