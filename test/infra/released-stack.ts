// A fixed stack with each kind of object in it, whose identities are pinned at every release.
import { CLUSTER_APIS } from '../../infra/schema/cluster.ts'
import type { StackInput } from '../../infra/schema.ts'
import { model, placement, region, stackOf } from './stacks.ts'
import { everythingFor, ingressFor } from './ways-in.ts'

/**
 * The objects that an upgrade is held against; a feature that makes new ones is added here before its release. A warm-up's
 * Job is not: its name says what it does, so that another one takes its place.
 */
export const RELEASED_STACK: StackInput = stackOf({
  gitops: { kind: 'both', repoURL: 'https://git.example.com/llm.git' },
  models: [
    model(),
    model({ name: 'qwen', servedName: 'qwen', engineKeySecret: { name: 'engine-key', key: 'token' } }),
    model({
      name: 'spread',
      servedName: 'spread',
      gpus: 8,
      nodes: 2,
      settings: { model: 'org/big', tensorParallelSize: 8 }
    })
  ],
  regions: [
    region({
      cluster: { kubernetes: '1.33', apis: [...CLUSTER_APIS] },
      monitoring: { prometheusUrl: 'http://prometheus.monitoring.svc:9090' },
      gateway: {
        image: region().gateway.image,
        keysSecret: region().gateway.keysSecret,
        autoscaling: { maxReplicas: 9 }
      },
      ingress: ingressFor('f5-nginx', everythingFor('f5-nginx')),
      network: { clients: { chat: { namespace: 'chat' } } },
      secrets: [
        {
          source: 'external-secrets',
          name: 'api-keys',
          store: { name: 'vault' },
          data: { 'keys.json': { key: 'keys' } }
        },
        { source: 'sealed-secrets', name: 'engine-key', encryptedData: { token: 'Ag'.padEnd(400, 'x') } }
      ],
      placements: [
        placement({
          autoscaling: { maxReplicas: 4 },
          cache: { kind: 'new-claim', sizeGiB: 100, storageClassName: 'files' }
        }),
        placement({ model: 'qwen', cache: { kind: 'host-path', path: '/models' } }),
        placement({ model: 'spread' })
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
