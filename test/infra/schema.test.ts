// Every refusal of a stack, with the path that it names.
import { describe, expect, it } from 'vitest'
import { stack } from '../../infra/stack.ts'
import { model, placement, problemsOf, region, stackOf } from './stacks.ts'

const withModel = (changes: object) => stackOf({ models: [{ ...model(), ...changes }] })
const withSettings = (changes: object, more: object = {}) =>
  withModel({ settings: { ...model().settings, ...changes }, ...more })
const withRegion = (changes: object) => stackOf({ regions: [{ ...region(), ...changes }] })
const withPlacement = (changes: object) => withRegion({ placements: [{ ...placement(), ...changes }] })
const withIngress = (changes: object) => withRegion({ ingress: { ...region().ingress, ...changes } })
const withGateway = (changes: object) => withRegion({ gateway: { ...region().gateway, ...changes } })
const eachTwice = stackOf({ models: [model(), model()], regions: [region(), region()] })

const REFUSALS: [title: string, input: unknown, ...problems: RegExp[]][] = [
  [
    'GPUs that do not match the parallelism',
    withSettings({ tensorParallelSize: 4, pipelineParallelSize: 2 }, { gpus: 4 }),
    /^models\[0\]\.gpus: 4 GPU\(s\) .* use 8/
  ],
  [
    'an output cap beyond the context',
    withSettings({ maxModelLen: 512 }),
    /^models\[0\]\.maxOutputTokens: 1024 exceeds/
  ],
  [
    'an engine queue smaller than its batch',
    withSettings({ maxNumQueuedReqs: 10 }),
    /^models\[0\]\.settings\.maxNumQueuedReqs: 10 is less/
  ],
  [
    'two models, two regions and two namespaces of one name',
    eachTwice,
    /^models\[1\]\.name: llama is taken by models\[0\]/,
    /^regions\[1\]\.name: eu-west/,
    /^regions\[1\]\.namespace: sluice/
  ],
  [
    'a model that is named as the workers of another',
    stackOf({
      models: [
        model({ nodes: 2, gpus: 2, settings: { model: 'org/big', pipelineParallelSize: 2 } }),
        model({ name: 'llama-worker', servedName: 'other' })
      ],
      regions: [region({ cluster: { apis: ['leader-worker-set'] } })]
    }),
    /^models\[1\]\.name: llama-worker is what llama calls a part of its engines/
  ],
  [
    'a model placed twice',
    withRegion({ placements: [placement(), placement()] }),
    /^regions\[0\]\.placements\[1\]\.model: llama is taken/
  ],
  [
    'a model that is not there',
    withPlacement({ model: 'gpt' }),
    /^regions\[0\]\.placements\[0\]\.model: there is no model gpt/
  ],
  [
    'two models that serve one name in a region',
    stackOf({
      models: [model(), model({ name: 'b' })],
      regions: [region({ placements: [placement(), placement({ model: 'b' })] })]
    }),
    /placements\[1\]\.model: b and llama both serve llama-3.1-8b-instruct/
  ],
  [
    'a namespace that is no DNS label',
    withRegion({ namespace: 'Sluice_EU' }),
    /^regions\[0\]\.namespace: use a DNS label/
  ],
  ['a region that is no DNS label', withRegion({ name: '../eu' }), /^regions\[0\]\.name: use a DNS label/],
  [
    'a model name that a Service cannot have',
    withModel({ name: '3.1-llama' }),
    /^models\[0\]\.name: use a-z/,
    /there is no model llama; the stack has 3\.1-llama/
  ],
  [
    'a Secret that Kubernetes cannot have',
    withModel({ hfTokenSecret: { name: 'HF token', key: 'a b' } }),
    /hfTokenSecret\.name: use a Kubernetes/,
    /hfTokenSecret\.key: use the key/
  ],
  [
    'a host with a scheme',
    withIngress({ host: 'https://llm.example.com' }),
    /^regions\[0\]\.ingress\.host: use a DNS name/
  ],
  ['a host of one label', withIngress({ host: 'localhost' }), /^regions\[0\]\.ingress\.host/],
  ['a host that is an address', withIngress({ host: '10.0.0.7' }), /^regions\[0\]\.ingress\.host/],
  ['a host with a port', withIngress({ host: 'llm.example.com:443' }), /^regions\[0\]\.ingress\.host/],
  ['a controller without a profile', withIngress({ controller: 'haproxy' }), /^regions\[0\]\.ingress\.controller: /],
  [
    'a beat that an idle timer in front outruns',
    withRegion({ budget: { heartbeatMs: 50_000 } }),
    /^regions\[0\]\.budget\.heartbeatMs: .*half of outerIdleMs/
  ],
  ['a drain longer than a stream', withRegion({ budget: { drainMs: 700_000 } }), /^regions\[0\]\.budget\.drainMs: /],
  [
    'a flag that this vLLM removed',
    withSettings({ extraArgs: ['--max-num-partial-prefills=2'] }),
    /^models\[0\]\.settings\.extraArgs\[0\]: vLLM 0\.31\.0 has no --max-num-partial-prefills \(removed in 0\.27\.0\): write --long-prefill-token-threshold/
  ],
  [
    'a removed flag with underscores and a separate value',
    withSettings({ extraArgs: ['--swap_space', '4'] }),
    /extraArgs\[0\]: vLLM 0\.31\.0 has no --swap-space/
  ],
  [
    'a flag that Sluice sets',
    withSettings({ extraArgs: ['--reasoning-parser=qwen3', '--api-key=x', '-tp', '2'] }),
    /extraArgs\[1\]: Sluice sets --api-key itself: write engineKeySecret/,
    /extraArgs\[2\]: Sluice sets -tp itself: write settings\.tensorParallelSize/
  ],
  [
    'a flag and its value in one argument, of Sluice and of somebody else',
    withSettings({ extraArgs: ['--tensor-parallel-size 4', '--tool-call-parser hermes', '--x={"a": 1}'] }),
    /extraArgs\[0\]: Sluice sets --tensor-parallel-size itself/,
    /extraArgs\[1\]: vLLM takes this for one flag; write '--tool-call-parser=hermes'/
  ],
  [
    'a file of flags, and a server that is not HTTP',
    withSettings({ extraArgs: ['--config', 'x.yaml', '--grpc', '--ssl-keyfile=k'] }),
    /extraArgs\[0\]: Sluice sets --config itself/,
    /extraArgs\[2\]: Sluice sets --grpc itself/,
    /extraArgs\[3\]: Sluice sets --ssl-keyfile itself/
  ],
  [
    'shared memory that leaves the engine none',
    withModel({ sharedMemoryGiB: 32 }),
    /^models\[0\]\.sharedMemoryGiB: 32 GiB of shared memory come out of memoryGiB 32/
  ],
  [
    'memory that shared memory uses up',
    withModel({ memoryGiB: 2 }),
    /^models\[0\]\.memoryGiB: 2 GiB of shared memory come out of memoryGiB 2/
  ],
  [
    'a secret key of a cloud as a plain variable',
    withModel({ env: { AWS_SECRET_ACCESS_KEY: 'x' } }),
    /^models\[0\]\.env\.AWS_SECRET_ACCESS_KEY: a secret never stands .* secretEnv/
  ],
  [
    'a variable of a Secret that is set elsewhere, too',
    withModel({ env: { A: 'x' }, secretEnv: { A: { name: 's', key: 'a' }, HF_TOKEN: { name: 's', key: 'a' } } }),
    /^models\[0\]\.secretEnv\.A: it stands in env, too/,
    /^models\[0\]\.secretEnv\.HF_TOKEN: Sluice sets it itself: use hfTokenSecret/
  ],
  [
    'tolerations that the API server refuses',
    withPlacement({
      tolerations: [
        { key: 'a', operator: 'Exists', value: 'b' },
        { operator: 'Equal', value: 'b' },
        { key: 'a', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 3 },
        { key: 'no key', operator: 'Equal', value: 'no value' }
      ]
    }),
    /tolerations\[0\]\.value: operator Exists has no value/,
    /tolerations\[1\]\.key: name the taint/,
    /tolerations\[2\]\.tolerationSeconds: only effect NoExecute/,
    /tolerations\[3\]\.key: use the key of a label/,
    /tolerations\[3\]\.value: use the value of a label/
  ],
  [
    'a node label that no node has',
    withPlacement({ nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA L40S' } }),
    /placements\[0\]\.nodeSelector\.nvidia\.com\/gpu\.product: use the value of a label/
  ],
  ['the tag stable', withGateway({ image: 'ghcr.io/sluice/gateway:stable' }), /gateway\.image: the tag stable moves/],
  [
    'a variable that this vLLM removed',
    withModel({ env: { VLLM_USE_V1: '1' } }),
    /^models\[0\]\.env\.VLLM_USE_V1: vLLM 0\.31\.0 has no VLLM_USE_V1/
  ],
  [
    'a variable that Sluice sets',
    withModel({ env: { HF_HOME: '/tmp' } }),
    /^models\[0\]\.env\.HF_HOME: Sluice sets it itself/
  ],
  [
    'a secret as a plain variable',
    withModel({ env: { WANDB_API_KEY: 'x' } }),
    /^models\[0\]\.env\.WANDB_API_KEY: a secret never stands/
  ],
  [
    'a vLLM without a drain',
    withModel({ image: 'vllm/vllm-openai:v0.17.1' }),
    /^models\[0\]\.image: vLLM 0\.17\.1 has no --shutdown-timeout/
  ],
  [
    'a setting that this vLLM does not have yet',
    withSettings({ maxNumQueuedReqs: 512 }, { image: 'vllm/vllm-openai:v0.28.0' }),
    /^models\[0\]\.settings\.maxNumQueuedReqs: vLLM 0\.28\.0 has no/
  ],
  [
    'an image of an unknown vLLM',
    withModel({ image: `vllm/vllm-openai@sha256:${'a'.repeat(64)}` }),
    /^models\[0\]\.vllmVersion: .*does not say/
  ],
  [
    'the tag latest',
    withModel({ image: 'vllm/vllm-openai:latest', vllmVersion: '0.31.0' }),
    /^models\[0\]\.image: the tag latest moves/
  ],
  [
    'an image without a tag',
    withGateway({ image: 'ghcr.io/sluice/gateway' }),
    /^regions\[0\]\.gateway\.image: .*no tag/
  ],
  ['a single gateway', withGateway({ replicas: 1 }), /^regions\[0\]\.gateway\.replicas: use at least 2/],
  [
    'a rollout that stops the only replica',
    withPlacement({ rollout: 'in-place' }),
    /^regions\[0\]\.placements\[0\]\.rollout: in-place stops the only replica/
  ],
  [
    'a claim of one node for pods on several',
    withPlacement({ replicas: 2, cache: { kind: 'new-claim', sizeGiB: 9, accessMode: 'ReadWriteOnce' } }),
    /placements\[0\]\.cache\.accessMode: ReadWriteOnce is mounted on one node/
  ],
  [
    'a host path that climbs',
    withPlacement({ cache: { kind: 'host-path', path: '/models/../etc' } }),
    /placements\[0\]\.cache\.path: use an absolute path/
  ],
  ['a field that does not exist', withSettings({ tensorParalelSize: 4 }), /^models\[0\]\.settings: .*tensorParalelSize/]
]

describe('parseStack', () => {
  it('accepts the stack of this repository', () => {
    expect(problemsOf(stack)).toEqual([])
    expect(problemsOf(stackOf())).toEqual([])
  })

  it.each(REFUSALS)('refuses %s', (_title, input, ...expected) => {
    const problems = problemsOf(input)
    expect(problems).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(problems[index]).toMatch(pattern)
  })

  it('names every problem at once, also those between parts while a part is wrong', () => {
    const broken = {
      models: [
        { ...model(), gpus: 2, typo: true },
        { ...model(), image: 'vllm/vllm-openai', servedName: '' }
      ],
      regions: [
        { ...region(), ingress: { ...region().ingress, host: 'x' }, placements: [placement({ model: 'gone' })] }
      ]
    }
    expect(
      problemsOf(broken)
        .map((problem) => problem.split(':', 1)[0])
        .sort()
    ).toEqual([
      'models[0]',
      'models[0].gpus',
      'models[1].image',
      'models[1].name',
      'models[1].servedName',
      'regions[0].ingress.host',
      'regions[0].placements[0].model'
    ])
  })

  it('accepts a flag that a later vLLM removes, and one image in two regions of one host', () => {
    expect(problemsOf(withSettings({ extraArgs: ['--swap-space=4'] }, { image: 'vllm/vllm-openai:v0.17.1' }))).toEqual([
      expect.stringContaining('--shutdown-timeout')
    ])
    expect(
      problemsOf(withSettings({ extraArgs: ['--calculate-kv-scales'] }, { image: 'vllm/vllm-openai:v0.27.1' }))
    ).toEqual([])
    expect(problemsOf(stackOf({ regions: [region(), region({ name: 'us', namespace: 'us' })] }))).toEqual([])
  })

  it('accepts a digest when the version of its vLLM is given', () => {
    const image = `vllm/vllm-openai@sha256:${'a'.repeat(64)}`
    expect(problemsOf(withModel({ image, vllmVersion: '0.31.0' }))).toEqual([])
    expect(problemsOf(withModel({ image: `vllm/vllm-openai:v0.31.0@sha256:${'a'.repeat(64)}` }))).toEqual([])
  })

  it('refuses what is no stack at all without failing itself', () => {
    for (const input of [undefined, null, 7, [], { models: 'x', regions: [null] }]) {
      expect(problemsOf(input).length).toBeGreaterThan(0)
    }
  })
})
