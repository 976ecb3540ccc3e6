// vLLM's arguments, and the flags that nobody else may set.
import { describe, expect, it } from 'vitest'
import { RESERVED_FLAGS, readFlag, renderVllmArgs } from '../../../infra/lib/vllm-flags.ts'
import { REMOVED_FLAGS } from '../../../infra/lib/vllm-versions.ts'

const serving = { servedModelName: 'm', port: 8000, shutdownTimeoutSeconds: 600 }
const everything = {
  model: 'org/model',
  revision: 'abc',
  tensorParallelSize: 2,
  pipelineParallelSize: 2,
  maxModelLen: 4096,
  maxNumSeqs: 64,
  maxNumBatchedTokens: 2048,
  gpuMemoryUtilization: 0.9,
  dtype: 'bfloat16',
  quantization: 'fp8',
  kvCacheDtype: 'fp8',
  enablePrefixCaching: true,
  maxNumQueuedReqs: 128,
  extraArgs: ['--trust-remote-code']
} as const

describe('renderVllmArgs', () => {
  it('renders every setting, the model first and the extra arguments last', () => {
    const args = renderVllmArgs(everything, serving)
    expect(args[0]).toBe('org/model')
    expect(args.at(-1)).toBe('--trust-remote-code')
    for (const value of Object.values(everything).filter((value) => typeof value === 'number')) {
      expect(
        args.some((argument) => argument.endsWith(`=${value}`)),
        String(value)
      ).toBe(true)
    }
    expect(args).toContain('--enable-prefix-caching')
    expect(args).toContain('--shutdown-timeout=600')
  })

  it('says no to prefix caching only when it is told so', () => {
    expect(renderVllmArgs({ model: 'm', enablePrefixCaching: false }, serving)).toContain('--no-enable-prefix-caching')
    expect(renderVllmArgs({ model: 'm' }, serving).join()).not.toContain('prefix-caching')
  })

  it('refuses in extraArgs each flag that it renders, and renders none that vLLM removed', () => {
    const flags = renderVllmArgs({ ...everything, extraArgs: [] }, serving).flatMap((one) => readFlag(one) ?? [])
    expect(flags.length).toBeGreaterThan(14)
    for (const flag of flags) {
      expect(RESERVED_FLAGS, flag).toHaveProperty([flag])
      expect(REMOVED_FLAGS, flag).not.toHaveProperty([flag])
    }
  })
})

describe('readFlag', () => {
  it('reads a flag as vLLM does, whatever its spelling', () => {
    expect(readFlag('--max_model_len=4096')).toBe('--max-model-len')
    expect(readFlag('-tp')).toBe('-tp')
    expect(readFlag('4')).toBeUndefined()
    expect(readFlag('-1')).toBeUndefined()
  })
})
