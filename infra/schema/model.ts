// The schema of one model: which vLLM serves it, how, and on how many GPUs.
import { z } from 'zod'
import { ENGINE_NAME } from '../lib/names.ts'
import { RESERVED_VARIABLES } from '../lib/vllm-environment.ts'
import { RESERVED_FLAGS, readFlag, splitFlagAndValue } from '../lib/vllm-flags.ts'
import { defaultMemoryGiB, defaultSharedMemoryGiB } from '../lib/vllm-resources.ts'
import { findMissingFlag, findRemovedFlag, findRemovedVariable, readVllmVersion } from '../lib/vllm-versions.ts'
import { crossCheck, image, named, type Problem, pickValid, secretKey } from './parts.ts'

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'use one word of letters, digits, ., _ and -')

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use the name of a variable')

/** vLLM's settings; each is documented at `VllmSettings`. */
const settingsSchema = z.strictObject({
  model: z.string().regex(/^[A-Za-z0-9./][A-Za-z0-9._/-]*$/, 'use a Hugging Face repository or a path'),
  revision: z.string().min(1).exactOptional(),
  tensorParallelSize: z.int().min(1).max(64).default(1),
  pipelineParallelSize: z.int().min(1).max(64).default(1),
  maxModelLen: z.int().min(1).exactOptional(),
  maxNumSeqs: z.int().min(1).max(100_000).default(256),
  maxNumBatchedTokens: z.int().min(1).exactOptional(),
  gpuMemoryUtilization: z.number().gt(0).max(1).exactOptional(),
  dtype: z.enum(['auto', 'bfloat16', 'float16', 'float32']).exactOptional(),
  quantization: word.exactOptional(),
  kvCacheDtype: word.exactOptional(),
  enablePrefixCaching: z.boolean().exactOptional(),
  maxNumQueuedReqs: z.int().min(1).exactOptional(),
  extraArgs: z.array(z.string().min(1)).exactOptional()
})

const shape = z.strictObject({
  /** Names the Deployment, the Service and the gateway's pool. */
  name: named(ENGINE_NAME),
  /** The name that clients send. */
  servedName: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/,
      'use letters, digits and ._:/- (at most 128), a letter or digit first'
    ),
  image,
  /** The vLLM in the image, as 0.31.0, when its tag does not say it. */
  vllmVersion: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, 'use three numbers, as 0.31.0')
    .exactOptional(),
  settings: settingsSchema,
  /** GPUs of one replica: tensorParallelSize times pipelineParallelSize. */
  gpus: z.int().min(1).max(64),
  /** The device plugin's resource. */
  gpuResource: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z]+\/[A-Za-z0-9._-]+$/, 'use a resource name such as nvidia.com/gpu')
    .default('nvidia.com/gpu'),
  /** The most output tokens of one request; also set when the client sends no limit. */
  maxOutputTokens: z.int().min(1).max(10_000_000),
  /** A restricted model is there only for the API keys that name it. */
  restricted: z.boolean().default(false),
  /** Seconds that loading may take; then the kubelet restarts the engine. */
  loadSeconds: z.int().min(30).max(86_400).default(1800),
  cpu: z.number().positive().max(512).exactOptional(),
  memoryGiB: z.int().min(1).max(8192).exactOptional(),
  sharedMemoryGiB: z.int().min(1).max(1024).exactOptional(),
  hfTokenSecret: secretKey.exactOptional(),
  engineKeySecret: secretKey.exactOptional(),
  env: z.record(variable, z.string()).exactOptional(),
  /** Variables that hold a secret, such as AWS_SECRET_ACCESS_KEY, by the Secret's name and key. */
  secretEnv: z.record(variable, secretKey).exactOptional()
})

type Shape = Partial<Omit<z.output<typeof shape>, 'settings'>>
type Settings = Partial<z.output<typeof settingsSchema>>

/** One model, its numbers and flags checked against each other and against its vLLM. */
export const modelSchema = crossCheck(shape, (written) => {
  const model: Shape = pickValid(shape, written)
  const settings: Settings = pickValid(settingsSchema, (written as { settings?: unknown } | null)?.settings)
  return [
    ...findSizeProblems(model, settings),
    ...findMemoryProblems(model),
    ...findVersionProblems(model, settings),
    ...findVariableProblems(model)
  ]
})

function findSizeProblems({ gpus, maxOutputTokens }: Shape, settings: Settings): Problem[] {
  const { tensorParallelSize: tp, pipelineParallelSize: pp, maxModelLen, maxNumSeqs, maxNumQueuedReqs } = settings
  const problems: Problem[] = []
  if (gpus !== undefined && tp !== undefined && pp !== undefined && gpus !== tp * pp) {
    problems.push([
      ['gpus'],
      `${gpus} GPU(s) for tensorParallelSize ${tp} x pipelineParallelSize ${pp}; use ${tp * pp}, or change the parallelism`
    ])
  }
  if (maxOutputTokens !== undefined && maxModelLen !== undefined && maxOutputTokens > maxModelLen) {
    problems.push([['maxOutputTokens'], `${maxOutputTokens} exceeds the context, settings.maxModelLen ${maxModelLen}`])
  }
  if (maxNumSeqs !== undefined && maxNumQueuedReqs !== undefined && maxNumQueuedReqs < maxNumSeqs) {
    problems.push([
      ['settings', 'maxNumQueuedReqs'],
      `${maxNumQueuedReqs} is less than maxNumSeqs ${maxNumSeqs}; it counts running requests too`
    ])
  }
  return problems
}

/** A tmpfs counts as the container's memory: what it holds the engine can't have. */
function findMemoryProblems({ gpus, memoryGiB, sharedMemoryGiB }: Shape): Problem[] {
  const memory = memoryGiB ?? (gpus === undefined ? undefined : defaultMemoryGiB(gpus))
  if (memory === undefined || gpus === undefined) return []
  const shared = sharedMemoryGiB ?? defaultSharedMemoryGiB(gpus)
  if (shared < memory) return []
  const path = memoryGiB === undefined ? 'sharedMemoryGiB' : 'memoryGiB'
  return [[[path], `${shared} GiB of shared memory come out of memoryGiB ${memory}, and leave the engine none`]]
}

function findVersionProblems(model: Shape, settings: Settings): Problem[] {
  const reserved = findReservedFlags(settings.extraArgs ?? [])
  const version = model.vllmVersion ?? readVllmVersion(model.image ?? '')
  if (version === undefined) {
    // An image that is not pinned has its own problem, and no version to read.
    if (model.image === undefined) return reserved
    return [[['vllmVersion'], `the tag of ${model.image} does not say vLLM's version; give it here`], ...reserved]
  }
  const found: [path: (string | number)[], message: string | undefined][] = [
    [['image'], findMissingFlag('--shutdown-timeout', version)],
    ...(settings.extraArgs ?? []).map((argument, index): [(string | number)[], string | undefined] => [
      ['settings', 'extraArgs', index],
      findRemovedFlag(readFlag(argument) ?? '', version)
    ]),
    ...Object.keys(model.env ?? {}).map((variable): [string[], string | undefined] => [
      ['env', variable],
      findRemovedVariable(variable, version)
    ])
  ]
  if (settings.maxNumQueuedReqs !== undefined) {
    found.push([['settings', 'maxNumQueuedReqs'], findMissingFlag('--max-num-queued-reqs', version)])
  }
  return [
    ...found.flatMap(([path, message]): Problem[] => (message === undefined ? [] : [[path, message]])),
    ...reserved
  ]
}

function findReservedFlags(extraArgs: readonly string[]): Problem[] {
  return extraArgs.flatMap((argument, index): Problem[] => {
    const path = ['settings', 'extraArgs', index]
    const split = splitFlagAndValue(argument)
    const flag = readFlag(split?.[0] ?? argument)
    const instead = flag === undefined ? undefined : RESERVED_FLAGS[flag]
    if (instead !== undefined) return [[path, `Sluice sets ${flag} itself: ${instead}`]]
    if (split === undefined) return []
    return [[path, `vLLM takes this for one flag; write '${split.join('=')}', or two arguments`]]
  })
}

function findVariableProblems({ env = {}, secretEnv = {} }: Shape): Problem[] {
  const problems = Object.keys(env).flatMap((variable): Problem[] => {
    const path = ['env', variable]
    if (RESERVED_VARIABLES.has(variable)) return [[path, 'Sluice sets it itself']]
    if (/(TOKEN|SECRET|PASSW(OR)?D|(API|ACCESS|PRIVATE|SECRET)_?KEY|CREDENTIALS?)$/i.test(variable)) {
      return [[path, 'a secret never stands in a manifest; name its Secret in secretEnv']]
    }
    return []
  })
  for (const variable of Object.keys(secretEnv)) {
    const path = ['secretEnv', variable]
    if (RESERVED_VARIABLES.has(variable))
      problems.push([path, 'Sluice sets it itself: use hfTokenSecret, engineKeySecret'])
    else if (variable in env) problems.push([path, 'it stands in env, too; write it once'])
  }
  return problems
}
