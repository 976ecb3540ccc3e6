// Settings that became arguments, versions that lack them, and what does not fit together.
import { describe, expect, it } from 'vitest'
import { isBucket, isRepository, renderSettings, SETTING_FLAGS } from '../../../infra/lib/vllm-settings.ts'
import { manifestsOf, podOf, problemsOf, stackWith } from '../stacks.ts'

const argsOf = (settings: object, more: object = {}) =>
  podOf(manifestsOf(stackWith({ settings, ...more })), 'engine-llama').containers[0].args as string[]

describe('renderSettings', () => {
  it('switches on and off, and leaves vLLM its defaults', () => {
    expect(argsOf({ enableChunkedPrefill: false, enablePrefixCaching: true, enforceEager: true })).toEqual(
      expect.arrayContaining(['--no-enable-chunked-prefill', '--enable-prefix-caching', '--enforce-eager'])
    )
    expect(argsOf({ enforceEager: false, enablePerRequestMetrics: false }).join()).not.toMatch(
      /eager|metrics=|per-request/
    )
    expect(renderSettings({ model: 'm' })).toEqual([
      '--tensor-parallel-size=1',
      '--pipeline-parallel-size=1',
      '--max-num-seqs=256'
    ])
  })

  it('bounds the batch and the queue, and measures each request', () => {
    const settings = {
      maxNumSeqs: 64,
      maxNumBatchedTokens: 4096,
      longPrefillTokenThreshold: 2048,
      maxNumQueuedReqs: 128,
      maxNumQueuedTokens: 500_000,
      enablePerRequestMetrics: true
    }
    expect(argsOf(settings)).toEqual(
      expect.arrayContaining([
        '--max-num-seqs=64',
        '--max-num-batched-tokens=4096',
        '--long-prefill-token-threshold=2048',
        '--max-num-queued-reqs=128',
        '--max-num-queued-tokens=500000',
        '--enable-per-request-metrics'
      ])
    )
  })

  it('writes an object as JSON in one argument', () => {
    expect(argsOf({ speculativeConfig: { method: 'ngram', num_speculative_tokens: 4 } })).toContain(
      '--speculative-config={"method":"ngram","num_speculative_tokens":4}'
    )
  })

  it('streams from a bucket, unless another way of streaming is named', () => {
    const model = 's3://weights/llama-3.1-8b'
    const args = argsOf({ model, loaderConfig: { concurrency: 16 } })
    expect(args[0]).toBe(model)
    expect(args).toContain('--load-format=runai_streamer')
    expect(args).toContain('--model-loader-extra-config={"concurrency":16}')
    expect(argsOf({ model, loadFormat: 'runai_streamer_sharded' })).toContain('--load-format=runai_streamer_sharded')
    expect(argsOf({}).join()).not.toContain('load-format')
  })

  it('gives the engines an identity that may read the bucket', () => {
    const annotations = { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/weights' }
    const manifests = manifestsOf(
      stackWith({ settings: { model: 's3://weights/m' }, placement: { serviceAccountAnnotations: annotations } })
    )
    const account = manifests.find((one) => one.kind === 'ServiceAccount' && one.metadata.name === 'engine-llama')
    expect(account.metadata.annotations).toEqual(annotations)
  })

  it('has a flag once, and knows a repository from a path and a bucket', () => {
    const flags = Object.values(SETTING_FLAGS).map(([flag]) => flag)
    expect(new Set(flags).size).toBe(flags.length)
    expect(['org/name', 'gpt2', 'org/n.a-m_e'].every(isRepository)).toBe(true)
    expect(['/models', './models', 's3://a/b', 'a/b/c'].some(isRepository)).toBe(false)
    expect(['s3://a/b', 'gs://a/b', 'az://a/b'].every(isBucket)).toBe(true)
    expect(isBucket('org/name')).toBe(false)
  })
})

describe('settings', () => {
  it.each<[title: string, settings: object, problem: RegExp]>([
    [
      'fewer tokens than sequences',
      { maxNumBatchedTokens: 100 },
      /maxNumBatchedTokens: 100 is less than maxNumSeqs 256/
    ],
    [
      'a flag of guided decoding',
      { extraArgs: ['--guided-decoding-backend=xgrammar'] },
      /has no --guided-decoding-backend .* write --structured-outputs-config\.backend/
    ],
    [
      'a whole prompt that a step has no room for',
      { maxNumBatchedTokens: 2048, maxModelLen: 8192, enableChunkedPrefill: false },
      /maxNumBatchedTokens: 2048 can't take a prompt of maxModelLen 8192/
    ],
    [
      'a revision of a bucket',
      { model: 'gs://w/m', revision: 'main' },
      /settings\.revision: a bucket has no revisions/
    ],
    [
      'a loader that reads no bucket',
      { model: 's3://w/m', loadFormat: 'safetensors' },
      /settings\.loadFormat: safetensors can't/
    ],
    ['another protocol', { model: 'ftp://w/m' }, /settings\.model: use a Hugging Face repository/],
    ['a rank between ranks', { maxLoraRank: 24 }, /settings\.maxLoraRank: /],
    ['slots for adapters that are not there', { maxLoras: 4 }, /settings\.maxLoras: the model has no adapters/],
    [
      'a typed setting once more',
      { extraArgs: ['--max-loras=2'] },
      /extraArgs\[0\]: Sluice sets --max-loras itself: write settings\.maxLoras/
    ],
    ['the negation of a switch', { extraArgs: ['--no-enforce-eager'] }, /write settings\.enforceEager: false/]
  ])('refuse %s', (_title, settings, problem) => {
    expect(problemsOf(stackWith({ settings }))).toEqual([expect.stringMatching(problem)])
  })

  it('refuse a flag that the vLLM in the image does not have yet, at the setting', () => {
    const settings = { enablePerRequestMetrics: true, maxNumQueuedTokens: 1000 }
    expect(problemsOf(stackWith({ settings }))).toEqual([])
    const image = 'vllm/vllm-openai:v0.26.0'
    expect(
      problemsOf({ ...stackWith({ settings }), models: [{ ...stackWith({ settings }).models[0], image }] })
    ).toEqual([
      expect.stringMatching(/^models\[0\]\.settings\.maxNumQueuedTokens: vLLM 0\.26\.0 has no --max-num-queued-tokens/),
      expect.stringMatching(/^models\[0\]\.settings\.enablePerRequestMetrics: vLLM 0\.26\.0 has no/)
    ])
  })
})
