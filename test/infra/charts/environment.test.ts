// Environments of a stack: what an overlay changes in the written manifests, and what it is refused for.
import { describe, expect, it } from 'vitest'
import { parseEnvironments, StackError, type StackInput } from '../../../infra/schema.ts'
import { filesOf, find, manifestsOf, model, placement, region, stackOf } from '../stacks.ts'

const models = [model(), model({ name: 'qwen', servedName: 'qwen' })]
const regions = [
  region({ placements: [placement({ replicas: 4 }), placement({ model: 'qwen' })] }),
  region({ name: 'us-east', namespace: 'us', ingress: { ...region().ingress, host: 'us.example.com' } })
]
const staging = {
  regions: [
    { name: 'eu-west', namespace: 'staging', ingress: { host: 'staging.example.com' } },
    { name: 'us-east', omit: true }
  ]
} as const
const withEnvironments = (environments: NonNullable<StackInput['environments']>) =>
  stackOf({ models, regions, environments })

function problemsOf(input: unknown): readonly string[] {
  try {
    parseEnvironments(input)
  } catch (error) {
    if (error instanceof StackError) return error.problems
    throw error
  }
  return []
}

describe('environments', () => {
  it('are folders above the regions, and a stack without them keeps its layout', () => {
    const files = filesOf(withEnvironments({ production: {}, staging })).map(({ file }) => file)
    expect(files.filter((file) => file.endsWith('gateway.yaml'))).toEqual([
      'production/eu-west/gateway.yaml',
      'production/us-east/gateway.yaml',
      'staging/eu-west/gateway.yaml'
    ])
    expect(filesOf(stackOf()).map(({ file }) => file)).toContain('eu-west/gateway.yaml')
  })

  it('change what they name, by name, and leave everything else as the stack has it', () => {
    const changed = [
      {
        name: 'eu-west',
        namespace: 'staging',
        ingress: { host: 'staging.example.com' },
        placements: [
          { model: 'llama', replicas: 1 },
          { model: 'qwen', omit: true }
        ]
      },
      { name: 'us-east', omit: true }
    ] as const
    const manifests = manifestsOf(
      withEnvironments({ staging: { models: [{ name: 'llama', maxOutputTokens: 256 }], regions: changed } })
    )
    expect(manifests.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name)).toEqual([
      'engine-llama',
      'gateway'
    ])
    expect(find(manifests, 'Deployment', 'engine-llama').spec.replicas).toBe(1)
    const config = JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json'])
    expect(config.pools[0].models[0]).toMatchObject({ name: 'llama-3.1-8b-instruct', maxOutputTokens: 256 })
    expect(find(manifests, 'Ingress', 'gateway').spec.tls[0]).toEqual({
      hosts: ['staging.example.com'],
      secretName: 'llm-tls'
    })
  })

  it('remove a field with null, and replace an object of another kind whole', () => {
    const base = stackOf({
      regions: [
        region({
          ingress: { ...region().ingress, ingressClassName: 'mine' },
          placements: [placement({ cache: { kind: 'new-claim', sizeGiB: 9, storageClassName: 'files' } })]
        })
      ],
      environments: {
        staging: {
          regions: [
            {
              name: 'eu-west',
              ingress: { ingressClassName: null },
              placements: [{ model: 'llama', cache: { kind: 'empty-dir', sizeGiB: 5 } }]
            }
          ]
        }
      }
    })
    const manifests = manifestsOf(base)
    expect(find(manifests, 'Ingress', 'gateway').spec.ingressClassName).toBe('nginx')
    expect(manifests.filter(({ kind }) => kind === 'PersistentVolumeClaim')).toEqual([])
  })

  it('are told apart by the label of every object', () => {
    const files = filesOf(withEnvironments({ production: {}, staging }))
    for (const { file, objects } of files) {
      const label = file.split('/').slice(0, 2).join('.')
      for (const { metadata } of objects) expect(metadata.labels['sluice.dev/region'], file).toBe(`sluice.${label}`)
    }
  })

  it.each<[string, StackInput['environments'] | unknown, RegExp]>([
    [
      'a region that is not there',
      { a: { regions: [{ name: 'mars', omit: true }] } },
      /^environments\.a\.regions\[0\]\.name: the stack has no mars .* eu-west, us-east$/
    ],
    [
      'a placement that is not there',
      { a: { regions: [{ name: 'eu-west', placements: [{ model: 'x' }] }] } },
      /^environments\.a\.regions\[0\]\.placements\[0\]\.model: the stack has no x/
    ],
    [
      'a model that is changed twice',
      { a: { models: [{ name: 'llama' }, { name: 'llama' }] } },
      /^environments\.a\.models\[1\]\.name: llama is changed by environments\.a\.models\[0\]/
    ],
    [
      'a region that is taken out and changed',
      { a: { regions: [{ name: 'us-east', omit: true, namespace: 'us2' }] } },
      /^environments\.a\.regions\[0\]: omit takes it out, so leave out namespace$/
    ],
    [
      'a field that is not there',
      { a: { regions: [{ name: 'eu-west', gatway: {} }] } },
      /^environments\.a: regions\[0\].*gatway/
    ],
    [
      'a value that the schema refuses',
      { a: { regions: [{ name: 'eu-west', gateway: { replicas: 1 } }] } },
      /^environments\.a: regions\[0\]\.gateway\.replicas: use at least 2/
    ],
    [
      'a model that is taken out and still placed',
      { a: { models: [{ name: 'qwen', omit: true }] } },
      /^environments\.a: regions\[0\]\.placements\[1\]\.model: there is no model qwen/
    ],
    [
      'a host of another environment',
      {
        a: {},
        b: {
          regions: [
            { name: 'eu-west', namespace: 'b' },
            { name: 'us-east', omit: true }
          ]
        }
      },
      /^environments\.b: region eu-west has the ingress\.host llm\.example\.com of a/
    ],
    [
      'a namespace of another environment',
      {
        a: {},
        b: {
          regions: [
            { name: 'eu-west', ingress: { host: 'b.example.com' } },
            { name: 'us-east', omit: true }
          ]
        }
      },
      /^environments\.b: region eu-west has the namespace sluice of a/
    ],
    ['a name that is no folder', { 'A/B': {} }, /^environments\.A\/B: use a DNS label/],
    ['the name of the GitOps folder', { gitops: {} }, /^environments\.gitops: the folder gitops is taken/],
    ['no environment at all', {}, /^environments: name at least one/],
    ['a list of environments', [], /^environments: write an object/]
  ])('are refused: %s', (_title, environments, problem) => {
    expect(problemsOf({ ...stackOf({ models, regions }), environments })).toEqual([expect.stringMatching(problem)])
  })

  it('refuse a region whose label would be too long, and one that takes the GitOps folder', () => {
    expect(problemsOf(stackOf({ regions: [region({ name: 'r'.repeat(60) })] }))).toEqual([
      expect.stringMatching(/^region r+: its label sluice\.r+ has 67 characters, more than 63; shorten a name$/)
    ])
    expect(problemsOf(stackOf({ regions: [region({ name: 'gitops' })] }))).toEqual([
      expect.stringMatching(/^region gitops: the folder gitops is taken/)
    ])
  })
})
