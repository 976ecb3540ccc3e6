// What the gateway is told of a region: adapters are models of their own, with limits of their own.
import { describe, expect, it } from 'vitest'
import { createCatalog } from '../../../gateway/admission/catalog.ts'
import { configSchema } from '../../../gateway/contract.ts'
import { find, manifestsOf, model, placement, podOf, problemsOf, region, stackOf, stackWith } from '../stacks.ts'

const adapters = [
  { name: 'llama-sql', source: 'org/sql-lora', maxOutputTokens: 256, restricted: true },
  { name: 'llama-poet', source: '/adapters/poet' }
]
const manifests = manifestsOf(stackWith({ model: { adapters }, settings: { maxLoraRank: 64 } }))

describe('LoRA adapters', () => {
  const pools = configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json'])).pools

  it('are models of the pool, with the limits of the model where they have none', () => {
    expect(pools[0]?.models).toEqual([
      { name: 'llama-3.1-8b-instruct', maxOutputTokens: 1024, restricted: false, tasks: ['generate'] },
      { name: 'llama-sql', maxOutputTokens: 256, restricted: true, tasks: ['generate'] },
      { name: 'llama-poet', maxOutputTokens: 1024, restricted: false, tasks: ['generate'] }
    ])
  })

  it('are listed and routed by the gateway, restricted ones to keys that name them', () => {
    const catalog = createCatalog(pools)
    const listed = (models: readonly string[] | 'unrestricted') =>
      catalog.list({ keyId: 'a', maxOutputTokens: 1000, models }).map((entry) => entry.model.name)
    expect(listed('unrestricted')).toEqual(['llama-3.1-8b-instruct', 'llama-poet'])
    expect(listed(['llama-sql'])).toEqual(['llama-sql'])
    expect(catalog.poolOf('llama-sql')).toBe('llama')
  })

  it('are loaded by the engine under the same names, with room for all of them in one batch', () => {
    const { args } = podOf(manifests, 'engine-llama').containers[0]
    const at = args.indexOf('--lora-modules')
    expect(args.slice(at + 1, at + 3).map((one: string) => JSON.parse(one))).toEqual([
      { name: 'llama-sql', path: 'org/sql-lora', base_model_name: 'llama-3.1-8b-instruct' },
      { name: 'llama-poet', path: '/adapters/poet', base_model_name: 'llama-3.1-8b-instruct' }
    ])
    expect(args[at + 3]).toMatch(/^--/)
    expect(args).toEqual(expect.arrayContaining(['--enable-lora', '--max-loras=2', '--max-lora-rank=64']))
  })

  it('are loaded from the warmed cache at their commit', () => {
    const revision = 'c'.repeat(40)
    const stack = stackWith({
      model: { adapters: [{ name: 'sql', source: 'org/sql-lora', revision }] },
      settings: { revision: 'd'.repeat(40) },
      placement: { cache: { kind: 'claim', claimName: 'weights', warmUp: true } }
    })
    const all = manifestsOf(stack)
    const { args } = podOf(all, 'engine-llama').containers[0]
    expect(JSON.parse(args[args.indexOf('--lora-modules') + 1]).path).toBe(
      `/home/vllm/.cache/huggingface/hub/models--org--sql-lora/snapshots/${revision}`
    )
    const [download] = all.find((one) => one.kind === 'Job').spec.template.spec.containers
    expect(JSON.parse(download.command.at(-1))).toContainEqual({ repository: 'org/sql-lora', revision })
  })

  it.each<[title: string, input: unknown, problem: RegExp]>([
    [
      'two of one name',
      stackWith({ model: { adapters: [adapters[0], adapters[0]] } }),
      /^models\[0\]\.adapters\[1\]\.name: llama-sql is taken by models\[0\]\.adapters\[0\]/
    ],
    [
      "the model's own name",
      stackWith({ model: { adapters: [{ name: model().servedName, source: 'org/x' }] } }),
      /^models\[0\]\.adapters\[0\]\.name: llama-3\.1-8b-instruct is the model's own/
    ],
    [
      'a name that another placed model serves',
      stackOf({
        models: [model({ adapters: [{ name: 'other', source: 'org/x' }] }), model({ name: 'b', servedName: 'other' })],
        regions: [region({ placements: [placement(), placement({ model: 'b' })] })]
      }),
      /placements\[1\]\.model: b and llama both serve other/
    ],
    [
      'a commit that vLLM alone does not take',
      stackWith({ model: { adapters: [{ name: 'a', source: 'org/x', revision: 'e'.repeat(40) }] } }),
      /placements\[0\]\.cache: vLLM takes the default branch of adapter a/
    ],
    [
      'neither a repository nor a path',
      stackWith({ model: { adapters: [{ name: 'a', source: 'a/b/c' }] } }),
      /^models\[0\]\.adapters\[0\]\.source: a\/b\/c is neither/
    ],
    [
      'more output than the context',
      stackWith({ model: { adapters: [{ ...adapters[0], maxOutputTokens: 9999 }] }, settings: { maxModelLen: 2048 } }),
      /^models\[0\]\.adapters\[0\]\.maxOutputTokens: 9999 exceeds/
    ]
  ])('are refused: %s', (_title, input, problem) => {
    expect(problemsOf(input)).toEqual([expect.stringMatching(problem)])
  })
})

const MIB = 1_048_576
const configOf = (manifests: ReturnType<typeof manifestsOf>) =>
  configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json']))

describe('a model with tasks of its own', () => {
  const bodySizeOf = (manifests: ReturnType<typeof manifestsOf>) =>
    find(manifests, 'Ingress', 'gateway').metadata.annotations['nginx.org/client-max-body-size']

  it('has them in the gateway, and so have its adapters', () => {
    const all = manifestsOf(stackWith({ model: { tasks: ['embed', 'score'], adapters: [adapters[1]] } }))
    expect(configOf(all).pools[0]?.models.map(({ tasks }) => tasks)).toEqual([
      ['embed', 'score'],
      ['embed', 'score']
    ])
    expect(bodySizeOf(all)).toBe(String(10 * MIB))
  })

  it('that transcribes has its uploads let in by the ingress, as large as the gateway takes them', () => {
    const hears = { model: { tasks: ['transcribe'] } }
    expect(bodySizeOf(manifestsOf(stackWith(hears)))).toBe(String(25 * MIB))
    const gateway = { ...region().gateway, maxUploadBytes: 60 * MIB }
    const larger = manifestsOf(stackWith({ ...hears, region: { gateway } }))
    expect([bodySizeOf(larger), configOf(larger).maxUploadBytes]).toEqual([String(60 * MIB), 60 * MIB])
  })

  it('needs a limit of its output only where it has any', () => {
    const { maxOutputTokens: _, ...unlimited } = model()
    const modelsOf = (tasks?: ('generate' | 'embed' | 'score' | 'transcribe')[]) =>
      stackOf({ models: [{ ...unlimited, ...(tasks === undefined ? {} : { tasks }) }] })
    expect(configOf(manifestsOf(modelsOf(['embed', 'score']))).pools[0]?.models).toHaveLength(1)
    for (const tasks of [undefined, ['generate'] as const, ['embed', 'transcribe'] as const])
      expect(problemsOf(modelsOf(tasks && [...tasks]))).toEqual([
        'models[0].maxOutputTokens: is missing; give the most output tokens of one request'
      ])
  })

  it.each([[[]], [['generate', 'generate']], [['sing']]])('is refused where they are %j', (tasks) => {
    expect(problemsOf(stackWith({ model: { tasks } }))).toEqual([expect.stringMatching(/^models\[0\]\.tasks/)])
  })
})

describe('a gateway with memory of its own', () => {
  it('lets bodies that wait fill a quarter of the memory that its gateway has, where that is set', () => {
    const heldBy = (more: object) =>
      configOf(manifestsOf(stackWith({ region: { gateway: { ...region().gateway, ...more } } }))).maxHeldBytes
    expect([heldBy({}), heldBy({ memoryMiB: 4096 })]).toEqual([256 * MIB, 1024 * MIB])
  })
})

describe('private registries', () => {
  it('are named once a region, and every pod of it knows their Secrets', () => {
    const cache = { kind: 'new-claim', sizeGiB: 9, warmUp: true }
    const stack = stackWith({
      settings: { revision: 'f'.repeat(40) },
      placement: { cache },
      region: { imagePullSecrets: ['registry'] }
    })
    const pods = manifestsOf(stack).flatMap((one) => (one.spec?.template ? [one.spec.template.spec] : []))
    expect(pods).toHaveLength(3)
    for (const pod of pods) expect(pod.imagePullSecrets).toEqual([{ name: 'registry' }])
  })
})
