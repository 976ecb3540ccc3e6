// The schema of a stack: what an operator may write in stack.ts, and everything that is refused before a file is written.
import { z } from 'zod'
import { describeProblems, timeBudgetSchema } from '../gateway/contract.ts'
import { INGRESS_CONTROLLERS } from './lib/ingress-controllers.ts'
import { DNS_LABEL, ENGINE_NAME, HOST_NAME, LABEL_KEY, LABEL_VALUE, OBJECT_NAME } from './lib/names.ts'
import { findConflicts } from './schema-conflicts.ts'
import { modelSchema } from './schema-model.ts'
import { crossCheck, image, named, type Problem, pickValid, secretKey } from './schema-parts.ts'

const cacheSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('new-claim'),
    /** GiB: the weights, and as much again for the next revision. */
    sizeGiB: z.int().min(1).max(65_536),
    storageClassName: named(OBJECT_NAME).exactOptional(),
    accessMode: z.enum(['ReadWriteMany', 'ReadWriteOnce']).default('ReadWriteMany')
  }),
  z.strictObject({ kind: z.literal('claim'), claimName: named(OBJECT_NAME) }),
  z.strictObject({
    kind: z.literal('host-path'),
    path: z.string().regex(/^\/(?!.*(^|\/)\.\.(\/|$)).+/, 'use an absolute path without ..'),
    sizeGiB: z.int().min(1).max(65_536).default(500)
  }),
  z.strictObject({ kind: z.literal('empty-dir'), sizeGiB: z.int().min(1).max(65_536) })
])

const tolerationShape = z.strictObject({
  key: z.string().min(1).exactOptional(),
  operator: z.enum(['Exists', 'Equal']).exactOptional(),
  value: z.string().exactOptional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).exactOptional(),
  tolerationSeconds: z.int().min(0).exactOptional()
})

/** The API server's own rules for tolerations, so that they are refused before an apply stops half-way. */
const tolerationSchema = crossCheck(tolerationShape, (written) => {
  const { key, operator = 'Equal', value, effect, tolerationSeconds } = pickValid(tolerationShape, written)
  const problems: Problem[] = []
  if (operator === 'Exists' && value) problems.push([['value'], 'operator Exists has no value; leave one of them out'])
  if (operator === 'Equal' && key === undefined) problems.push([['key'], 'name the taint, or use operator Exists'])
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    problems.push([['tolerationSeconds'], 'only effect NoExecute has it'])
  }
  return problems
})

const placementShape = z.strictObject({
  /** The `name` of one of the stack's models. */
  model: named(ENGINE_NAME),
  replicas: z.int().min(1).max(1000).default(1),
  /** Default: in-place from two replicas on, surge for a single one. */
  rollout: z.enum(['surge', 'in-place', 'recreate']).exactOptional(),
  cache: cacheSchema,
  /** How many requests may wait for this model before the next gets 429. Default: the gateway's. */
  maxQueued: z.int().min(0).max(100_000).exactOptional(),
  nodeSelector: z.record(named(LABEL_KEY), named(LABEL_VALUE)).exactOptional(),
  tolerations: z.array(tolerationSchema).exactOptional(),
  priorityClassName: named(OBJECT_NAME).exactOptional(),
  runtimeClassName: named(OBJECT_NAME).exactOptional()
})

const placementSchema = crossCheck(placementShape, (written) => {
  const { replicas, rollout, cache } = pickValid(placementShape, written)
  const problems: Problem[] = []
  if (rollout === 'in-place' && replicas === 1) {
    problems.push([
      ['rollout'],
      'in-place stops the only replica; use surge with a spare GPU, two replicas, or recreate'
    ])
  }
  const alone = replicas === 1 && rollout === 'recreate'
  if (cache?.kind === 'new-claim' && cache.accessMode === 'ReadWriteOnce' && !alone) {
    problems.push([
      ['cache', 'accessMode'],
      'ReadWriteOnce is mounted on one node, and a second pod may land on another; use ReadWriteMany, or one replica with rollout recreate'
    ])
  }
  return problems
})

const gatewaySchema = z.strictObject({
  image,
  /** At least two, so a node may be drained. */
  replicas: z.int().min(2, 'use at least 2: one gateway is an outage at every drain of a node').max(1000).default(2),
  /** The Secret with the file of hashed API keys. */
  keysSecret: secretKey,
  cpu: z.number().positive().max(64).exactOptional(),
  memoryMiB: z.int().min(128).max(65_536).exactOptional(),
  /** Largest request body in bytes; gateway and ingress agree on it. */
  maxBodyBytes: z.int().min(1024).max(1_073_741_824).default(10_485_760),
  corsOrigins: z.array(z.string().min(1)).max(256).exactOptional()
})

const ingressSchema = z.strictObject({
  controller: z.enum(INGRESS_CONTROLLERS),
  /** The DNS name that clients call. */
  host: named(HOST_NAME),
  tls: z.strictObject({
    /** A Secret of type kubernetes.io/tls, made by cert-manager when `clusterIssuer` is given. */
    secretName: named(OBJECT_NAME),
    clusterIssuer: named(OBJECT_NAME).exactOptional()
  }),
  /** Default: the class that the controller's own chart creates. */
  ingressClassName: named(OBJECT_NAME).exactOptional()
})

const regionSchema = z.strictObject({
  /** The folder in charts-out/, and the region that metrics and logs name. */
  name: named(DNS_LABEL),
  namespace: named(DNS_LABEL),
  /** The domain of the cluster's Services. */
  clusterDomain: named(HOST_NAME).default('cluster.local'),
  budget: timeBudgetSchema.prefault({}),
  gateway: gatewaySchema,
  ingress: ingressSchema,
  placements: z.array(placementSchema).min(1, 'place at least one model').max(64)
})

const stackSchema = z.strictObject({
  models: z.array(modelSchema).min(1).max(256),
  regions: z.array(regionSchema).min(1).max(64)
})

/** A stack as a person writes it: what has a default may be left out. */
export type StackInput = z.input<typeof stackSchema>
export type PlacementInput = StackInput['regions'][number]['placements'][number]
/** A checked stack, every default filled in. */
export type Stack = z.output<typeof stackSchema>
export type Region = Stack['regions'][number]
export type Placement = Region['placements'][number]
export type Model = Stack['models'][number]

/** A stack that is refused: every problem at once, each as `path: message`. */
export class StackError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the stack has ${problems.length} problem(s):\n${problems.join('\n')}`)
    this.name = 'StackError'
    this.problems = problems
  }
}

/**
 * Checks a stack and fills in its defaults.
 * @throws StackError with every problem; names are compared even where another field is wrong.
 */
export function parseStack(input: unknown): Stack {
  const parsed = stackSchema.safeParse(input)
  const problems = [...(parsed.success ? [] : describeProblems(parsed.error)), ...findConflicts(input)]
  if (!parsed.success || problems.length > 0) throw new StackError(problems)
  return parsed.data
}
