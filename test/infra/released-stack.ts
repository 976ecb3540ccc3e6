// A fixed stack with each kind of object in it, whose identities are pinned at every release.
import type { StackInput } from '../../infra/schema.ts'
import { model, placement, region, stackOf } from './stacks.ts'

/** The objects that an upgrade is held against; a feature that makes new ones is added here before its release. */
export const RELEASED_STACK: StackInput = stackOf({
  gitops: { kind: 'both', repoURL: 'https://git.example.com/llm.git' },
  models: [model(), model({ name: 'qwen', servedName: 'qwen' })],
  regions: [
    region({
      placements: [
        placement({ cache: { kind: 'new-claim', sizeGiB: 100, storageClassName: 'files' } }),
        placement({ model: 'qwen', cache: { kind: 'host-path', path: '/models' } })
      ]
    }),
    region({
      name: 'us-east',
      namespace: 'sluice-us-east',
      cluster: { apis: ['cert-manager'] },
      ingress: {
        controller: 'traefik',
        host: 'us.example.com',
        tls: { secretName: 'llm-tls', clusterIssuer: 'issuer' }
      }
    })
  ]
})
