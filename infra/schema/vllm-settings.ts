// The schema of vLLM's settings, and what they have to agree on with each other; each is documented at `VllmSettings`.
import { z } from 'zod'
import { isBucket, LOAD_FORMATS, LORA_RANKS, SETTING_FLAGS } from '../lib/vllm-settings.ts'
import { findMissingFlag } from '../lib/vllm-versions.ts'
import type { Problem } from './parts.ts'

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'use one word of letters, digits, ., _ and -')

export const settingsSchema = z.strictObject({
  model: z
    .string()
    .regex(
      /^((s3|gs|az):\/\/)?[A-Za-z0-9./][A-Za-z0-9._/-]*$/,
      'use a Hugging Face repository, a path, or a bucket as s3://bucket/path'
    ),
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
  maxNumQueuedTokens: z.int().min(1).exactOptional(),
  enableChunkedPrefill: z.boolean().exactOptional(),
  longPrefillTokenThreshold: z.int().min(0).exactOptional(),
  schedulingPolicy: z.enum(['fcfs', 'priority']).exactOptional(),
  blockSize: z.int().min(1).max(1024).exactOptional(),
  kvOffloadingSize: z.number().positive().max(8192).exactOptional(),
  enableExpertParallel: z.boolean().exactOptional(),
  enforceEager: z.boolean().exactOptional(),
  speculativeConfig: z.record(z.string(), z.json()).exactOptional(),
  enablePerRequestMetrics: z.boolean().exactOptional(),
  enablePromptTokensDetails: z.boolean().exactOptional(),
  loadFormat: z.enum(LOAD_FORMATS).exactOptional(),
  loaderConfig: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional(),
  maxLoras: z.int().min(1).max(256).exactOptional(),
  maxLoraRank: z.literal([...LORA_RANKS]).exactOptional(),
  maxCpuLoras: z.int().min(1).max(10_000).exactOptional(),
  extraArgs: z.array(z.string().min(1)).exactOptional()
})

export type Settings = Partial<z.output<typeof settingsSchema>>

/** Every disagreement between settings; paths begin at the settings. */
export function findSettingsProblems(settings: Settings): Problem[] {
  return [...findBatchProblems(settings), ...findLoadProblems(settings)]
}

/** A problem for each setting whose flag came with a later vLLM than `version`. */
export function findMissingSettings(settings: Settings, version: string): Problem[] {
  return Object.entries(SETTING_FLAGS).flatMap(([key, [flag]]): Problem[] => {
    if (settings[key as keyof typeof SETTING_FLAGS] === undefined) return []
    const message = findMissingFlag(flag, version)
    return message === undefined ? [] : [[[key], message]]
  })
}

function findBatchProblems(settings: Settings): Problem[] {
  const { maxModelLen, maxNumSeqs, maxNumBatchedTokens, maxNumQueuedReqs, enableChunkedPrefill } = settings
  const problems: Problem[] = []
  if (maxNumSeqs !== undefined && maxNumQueuedReqs !== undefined && maxNumQueuedReqs < maxNumSeqs) {
    problems.push([
      ['maxNumQueuedReqs'],
      `${maxNumQueuedReqs} is less than maxNumSeqs ${maxNumSeqs}; it counts running requests too`
    ])
  }
  // vllm/config/scheduler.py refuses both when the engine starts, after minutes of waiting for a GPU.
  if (maxNumBatchedTokens !== undefined && maxNumSeqs !== undefined && maxNumBatchedTokens < maxNumSeqs) {
    problems.push([
      ['maxNumBatchedTokens'],
      `${maxNumBatchedTokens} is less than maxNumSeqs ${maxNumSeqs}: each sequence takes a token of a step; raise it, or lower maxNumSeqs`
    ])
  }
  const whole = maxModelLen !== undefined && maxNumBatchedTokens !== undefined && maxNumBatchedTokens < maxModelLen
  if (enableChunkedPrefill === false && whole) {
    problems.push([
      ['maxNumBatchedTokens'],
      `${maxNumBatchedTokens} can't take a prompt of maxModelLen ${maxModelLen} in one step; raise it, or leave enableChunkedPrefill on`
    ])
  }
  return problems
}

function findLoadProblems({ model, revision, loadFormat, maxLoras, maxCpuLoras }: Settings): Problem[] {
  const problems: Problem[] = []
  if (model !== undefined && isBucket(model)) {
    if (revision !== undefined) problems.push([['revision'], 'a bucket has no revisions; let the path name it'])
    if (loadFormat !== undefined && !loadFormat.startsWith('runai_streamer')) {
      problems.push([['loadFormat'], `${loadFormat} can't read a bucket; leave it out, or use runai_streamer`])
    }
  }
  if (maxLoras !== undefined && maxCpuLoras !== undefined && maxCpuLoras < maxLoras) {
    problems.push([['maxCpuLoras'], `${maxCpuLoras} is less than maxLoras ${maxLoras}; use at least as many`])
  }
  return problems
}
