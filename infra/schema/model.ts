// The schema of one model: which vLLM serves it, how, and on how many GPUs.
import { z } from 'zod'
import { modelNameSchema, tasksSchema, tokenBoundSchema } from '../../gateway/contract.ts'
import { countGpus, officialImage } from '../lib/accelerators.ts'
import { ENGINE_NAME } from '../lib/names.ts'
import { RESERVED_VARIABLES } from '../lib/vllm-environment.ts'
import { RESERVED_FLAGS, readFlag, splitFlagAndValue } from '../lib/vllm-flags.ts'
import { defaultMemoryGiB, defaultSharedMemoryGiB } from '../lib/vllm-resources.ts'
import { findMissingFlag, findRemovedFlag, findRemovedVariable, readVllmVersion } from '../lib/vllm-versions.ts'
import { acceleratorSchema, findAcceleratorProblems } from './accelerator.ts'
import { adapterSchema, findAdapterProblems } from './adapters.ts'
import { crossCheck, image, named, type Problem, pickValid, secretKey } from './parts.ts'
import { findMissingSettings, findSettingsProblems, type Settings, settingsSchema } from './vllm-settings.ts'

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use the name of a variable')

/** A model's fields, each checked by itself. */
export const modelShape = z.strictObject({
  /** Names the Deployment, the Service and the gateway's pool. */
  name: named(ENGINE_NAME),
  /** The name that clients send. */
  servedName: modelNameSchema,
  /** What the engines run on. Default: whole NVIDIA GPUs. */
  accelerator: acceleratorSchema.exactOptional(),
  /** Default: vLLM's own image of `vllmVersion` for the accelerator. */
  image: image.exactOptional(),
  /** The vLLM in the image, as 0.31.0, when its tag does not say it. */
  vllmVersion: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/, 'use three numbers, as 0.31.0')
    .exactOptional(),
  settings: settingsSchema,
  /** LoRA adapters, each a model of its own to clients. */
  adapters: z.array(adapterSchema).max(255).exactOptional(),
  /** GPUs of one replica, all its nodes together. Default: tensorParallelSize times pipelineParallelSize. */
  gpus: z.int().min(1).max(4096).exactOptional(),
  /** Nodes that one replica is spread over; more than one needs LeaderWorkerSet. CPU and memory are those of one node. */
  nodes: z.int().min(1).max(64).default(1),
  /** The device plugin's resource. Default: the accelerator's. */
  gpuResource: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z]+\/[A-Za-z0-9._-]+$/, 'use a resource name such as nvidia.com/gpu')
    .exactOptional(),
  /** The most output tokens of one request; also set when the client sends no limit. Needed where a model generates any. */
  maxOutputTokens: tokenBoundSchema.exactOptional(),
  /** A restricted model is there only for the API keys that name it. */
  restricted: z.boolean().default(false),
  /** What the model is for, its adapters too, and so which routes it answers on. Default: to generate text. */
  tasks: tasksSchema.exactOptional(),
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

type Shape = Partial<Omit<z.output<typeof modelShape>, 'settings'>>

/** One model, its numbers and flags checked against each other and against its vLLM; image and GPUs filled in. */
export const modelSchema = crossCheck(modelShape, (written) => {
  const model: Shape = pickValid(modelShape, written)
  const settings: Settings = pickValid(settingsSchema, (written as { settings?: unknown } | null)?.settings)
  return [
    ...findAcceleratorProblems({ ...model, settings }),
    ...findMissingLimit(model, written),
    ...findSizeProblems(model, settings),
    ...below('settings', findSettingsProblems(settings)),
    ...findAdapterProblems({ ...model, settings }),
    ...findMemoryProblems(model, settings),
    ...findVersionProblems(model, settings, (written as { image?: unknown } | null)?.image !== undefined),
    ...findVariableProblems(model)
  ]
}).transform((model) => ({
  ...model,
  image: model.image ?? officialImage(model.accelerator, model.vllmVersion ?? ''),
  gpus: countGpus(model.accelerator, model.settings)
}))

const below = (field: string, problems: readonly Problem[]): Problem[] =>
  problems.map(([path, message]) => [[field, ...path], message])

/** A model that only embeds or scores generates no token. */
function findMissingLimit({ tasks = ['generate'] }: Shape, written: unknown): Problem[] {
  const isWritten = (written as { maxOutputTokens?: unknown } | null)?.maxOutputTokens !== undefined
  if (isWritten || !tasks.some((task) => task === 'generate' || task === 'transcribe')) return []
  return [[['maxOutputTokens'], 'is missing; give the most output tokens of one request']]
}

function findSizeProblems({ maxOutputTokens }: Shape, { maxModelLen }: Settings): Problem[] {
  if (maxOutputTokens === undefined || maxModelLen === undefined || maxOutputTokens <= maxModelLen) return []
  return [[['maxOutputTokens'], `${maxOutputTokens} exceeds the context, settings.maxModelLen ${maxModelLen}`]]
}

/** A tmpfs counts as the container's memory, as KV cache on the host does: what it holds the engine can't have. */
function findMemoryProblems(
  { accelerator, nodes = 1, memoryGiB, sharedMemoryGiB }: Shape,
  settings: Settings
): Problem[] {
  const gpus = Math.ceil(countGpus(accelerator, settings) / nodes)
  const memory = memoryGiB ?? defaultMemoryGiB(gpus)
  const shared = sharedMemoryGiB ?? defaultSharedMemoryGiB(accelerator, gpus)
  if (shared >= memory) {
    const path = memoryGiB === undefined ? 'sharedMemoryGiB' : 'memoryGiB'
    return [[[path], `${shared} GiB of shared memory come out of memoryGiB ${memory}, and leave the engine none`]]
  }
  const [path, cache] =
    accelerator?.kind === 'cpu'
      ? [['accelerator', 'kvCacheGiB'], accelerator.kvCacheGiB]
      : [['settings', 'kvOffloadingSize'], settings.kvOffloadingSize ?? 0]
  if (shared + cache < memory) return []
  return [
    [
      path,
      `${cache} GiB and ${shared} GiB of shared memory come out of memoryGiB ${memory}, and leave the engine none; raise memoryGiB`
    ]
  ]
}

function findVersionProblems(model: Shape, settings: Settings, hasImage: boolean): Problem[] {
  const reserved = findReservedFlags(settings.extraArgs ?? [])
  const version = model.vllmVersion ?? readVllmVersion(model.image ?? '')
  if (version === undefined) {
    if (!hasImage) return [[['image'], "name an image, or vllmVersion, as 0.31.0, for vLLM's own"], ...reserved]
    // An image that is not pinned has its own problem, and no version to read.
    if (model.image === undefined) return reserved
    return [[['vllmVersion'], `the tag of ${model.image} does not say vLLM's version; give it here`], ...reserved]
  }
  const found: [path: (string | number)[], message: string | undefined][] = [
    [[hasImage ? 'image' : 'vllmVersion'], findMissingFlag('--shutdown-timeout', version)],
    ...(settings.extraArgs ?? []).map((argument, index): [(string | number)[], string | undefined] => [
      ['settings', 'extraArgs', index],
      findRemovedFlag(readFlag(argument) ?? '', version)
    ]),
    ...Object.keys(model.env ?? {}).map((variable): [string[], string | undefined] => [
      ['env', variable],
      findRemovedVariable(variable, version)
    ])
  ]
  return [
    ...found.flatMap(([path, message]): Problem[] => (message === undefined ? [] : [[path, message]])),
    ...below('settings', findMissingSettings(settings, version)),
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
