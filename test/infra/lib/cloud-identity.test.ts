// What an identity of a cloud adds to the pods that have it.
import { describe, expect, it } from 'vitest'
import { find, manifestsOf, model, placement, region, stackOf } from '../stacks.ts'

const USE = 'azure.workload.identity/use'
const azure = { 'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000000' }
const spread = model({ gpus: 8, nodes: 2, settings: { model: 'org/big', tensorParallelSize: 8 } })
const manifestsWith = (annotations: Record<string, string>, served = model()) =>
  manifestsOf(
    stackOf({
      models: [served],
      regions: [
        region({
          cluster: { apis: ['leader-worker-set'] },
          placements: [placement({ serviceAccountAnnotations: annotations })]
        })
      ]
    })
  )

describe('an identity of a cloud', () => {
  it("of Azure's labels the pods, without which its webhook passes them over, and no selector", () => {
    const { selector, template } = find(manifestsWith(azure), 'Deployment', 'engine-llama').spec
    expect(template.metadata.labels[USE]).toBe('true')
    expect(selector.matchLabels).not.toHaveProperty([USE])
    const { leaderTemplate, workerTemplate } = find(manifestsWith(azure, spread), 'LeaderWorkerSet', 'engine-llama-lws')
      .spec.leaderWorkerTemplate
    expect(leaderTemplate.metadata.labels[USE]).toBe('true')
    expect(workerTemplate.metadata.labels[USE]).toBe('true')
  })

  it('of another cloud labels nothing', () => {
    const manifests = manifestsWith({ 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/weights' })
    expect(find(manifests, 'Deployment', 'engine-llama').spec.template.metadata.labels).not.toHaveProperty([USE])
  })
})
