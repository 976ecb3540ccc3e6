// Refusals of what scaling and watching ask for and the rest of a region does not give.
import { describe, expect, it } from 'vitest'
import { parseStack, StackError, type StackInput } from '../../../infra/schema.ts'
import { model, placement, region, stackOf, watched } from '../stacks.ts'

function problemsOf(stack: StackInput): readonly string[] {
  try {
    parseStack(stack)
  } catch (error) {
    if (error instanceof StackError) return error.problems
    throw error
  }
  return []
}

const fromZero = { minReplicas: 0, maxReplicas: 4 }
const long = { streamMs: 2_400_000 }
const withPlacement = (changes: object, more: Parameters<typeof watched>[0] = {}) =>
  stackOf({ regions: [watched({ placements: [placement(changes)], ...more })] })
const withGateway = (changes: object, more: Parameters<typeof watched>[0] = {}) =>
  stackOf({ regions: [watched({ gateway: { ...region().gateway, ...changes }, ...more })] })

const REFUSALS: [title: string, stack: StackInput, ...problems: RegExp[]][] = [
  [
    'engines that are scaled without KEDA',
    withPlacement({ autoscaling: { maxReplicas: 2 } }, { cluster: { apis: ['prometheus-operator'] } }),
    /^regions\[0\]\.placements\[0\]\.autoscaling: engines are scaled by KEDA; add keda to cluster\.apis/
  ],
  [
    'KEDA without the address of Prometheus, once however many are scaled',
    stackOf({
      regions: [
        watched({
          monitoring: {},
          gateway: { ...region().gateway, autoscaling: { maxReplicas: 4 } },
          placements: [placement({ autoscaling: { maxReplicas: 2 } })]
        })
      ]
    }),
    /^regions\[0\]\.monitoring\.prometheusUrl: is missing; .*http:\/\/prometheus-operated/
  ],
  [
    'two owners of one number of engines',
    withPlacement({ replicas: 2, autoscaling: { maxReplicas: 2 } }),
    /^regions\[0\]\.placements\[0\]\.replicas: the autoscaler owns/
  ],
  [
    'two owners of one number of gateways',
    withGateway({ replicas: 2, autoscaling: { maxReplicas: 4 } }),
    /^regions\[0\]\.gateway\.replicas: the autoscaler owns/
  ],
  [
    'bounds that are crossed',
    withPlacement({ autoscaling: { minReplicas: 3, maxReplicas: 2 } }),
    /autoscaling\.maxReplicas: 2 is less than minReplicas 3/
  ],
  [
    'a single gateway as the fewest',
    withGateway({ autoscaling: { minReplicas: 1, maxReplicas: 4 } }),
    /gateway\.autoscaling\.minReplicas: use at least 2/
  ],
  [
    'a disk of one node for engines that may be two',
    withPlacement({
      autoscaling: { maxReplicas: 2 },
      rollout: 'recreate',
      cache: { kind: 'new-claim', sizeGiB: 9, accessMode: 'ReadWriteOnce' }
    }),
    /cache\.accessMode: ReadWriteOnce/
  ],
  [
    'a rollout in place where one engine may be all',
    withPlacement({ autoscaling: { maxReplicas: 2 }, rollout: 'in-place' }),
    /placements\[0\]\.rollout: in-place stops the only replica/
  ],
  [
    'a queue that gives up before the first engine is loaded',
    withPlacement({ autoscaling: fromZero, queueMs: 60_000 }, { budget: long }),
    /^regions\[0\]\.placements\[0\]\.queueMs: 60000 is less than the 1800 s .*use 1875000/
  ],
  [
    'a stream that ends before the first engine is loaded',
    withPlacement({ autoscaling: fromZero }),
    /^regions\[0\]\.budget\.streamMs: 600000 ends a request that waits 1875000 ms .*use at least 1995000, and set drainMs/
  ],
  [
    'a load that no queue outlasts',
    stackOf({
      models: [model({ loadSeconds: 7200 })],
      regions: [watched({ placements: [placement({ autoscaling: fromZero })], budget: { streamMs: 80_000_000 } })]
    }),
    /^regions\[0\]\.placements\[0\]\.autoscaling\.minReplicas: 0 lets a request wait 7275000 ms/
  ],
  [
    'rules and monitors without their operator, each field by its name',
    stackOf({ regions: [region({ monitoring: { scrapeSeconds: 30, labels: { release: 'kps' } } })] }),
    /^regions\[0\]\.monitoring\.scrapeSeconds: monitors, rules .*add prometheus-operator/,
    /^regions\[0\]\.monitoring\.labels: monitors/
  ],
  [
    'an objective between two buckets, one that can never burn, and an address that is none',
    stackOf({
      regions: [
        watched({
          monitoring: {
            prometheusUrl: 'prometheus:9090',
            // @ts-expect-error no bound of the histogram
            objectives: { firstTokenSeconds: 3, availability: 0.9 }
          }
        })
      ]
    }),
    /monitoring\.prometheusUrl: use an http/,
    /firstTokenSeconds: use a bound of the histogram: 0\.25/,
    /availability: use 0\.94 to 0\.9999/
  ],
  [
    'a password in an address',
    stackOf({ regions: [watched({ monitoring: { prometheusUrl: 'http://keda:secret@prometheus:9090' } })] }),
    /monitoring\.prometheusUrl: a secret never stands in a manifest/
  ]
]

describe('scaling and watching', () => {
  it.each(REFUSALS)('refuse %s', (_title, stack, ...expected) => {
    const problems = problemsOf(stack)
    for (const pattern of expected) expect(problems).toContainEqual(expect.stringMatching(pattern))
    expect(problems).toHaveLength(expected.length)
  })

  it('accept a way from zero that everything on it outlasts', () => {
    expect(problemsOf(withPlacement({ autoscaling: fromZero }, { budget: long }))).toEqual([])
    const quick = stackOf({
      models: [model({ loadSeconds: 300 })],
      regions: [watched({ placements: [placement({ autoscaling: fromZero })] })]
    })
    expect(problemsOf(quick)).toEqual([])
  })

  it('accept gateways that are scaled by CPU in a cluster with nothing installed', () => {
    const gateway = { ...region().gateway, autoscaling: { maxReplicas: 4 } }
    expect(problemsOf(stackOf({ regions: [region({ gateway })] }))).toEqual([])
  })
})
