// A stack that uses every feature at once: each accelerator and cache, every API, every policy.
import { CLUSTER_APIS } from '../../infra/schema/cluster.ts'
import type { StackInput } from '../../infra/schema.ts'
import { model, placement, region, stackOf } from './stacks.ts'
import { everythingFor, ingressFor } from './ways-in.ts'

const REVISION = '0e9e39f249a16976918f6564b8830bc894c89659'
const ADAPTER_REVISION = '9216db5781bf21249d130ec9da846c4624c16137'
const VLLM = '0.31.0'
const pinned = { model: 'meta-llama/Llama-3.1-8B-Instruct', revision: REVISION }
const store = { name: 'vault' }
const autoscaling = { minReplicas: 1, maxReplicas: 4 }
const shared = { kind: 'new-claim', sizeGiB: 100, warmUp: true } as const

/** A model whose image and GPUs follow from its accelerator. */
const on = (name: string, changes: Partial<StackInput['models'][number]>): StackInput['models'][number] => {
  const { image: _image, gpus: _gpus, ...base } = model()
  return { ...base, name, servedName: name, vllmVersion: VLLM, ...changes }
}

export const EVERYTHING: StackInput = stackOf({
  gitops: { kind: 'both', repoURL: 'https://git.example.com/llm.git' },
  models: [
    model({
      settings: pinned,
      hfTokenSecret: { name: 'hub', key: 'token' },
      engineKeySecret: { name: 'engine-key', key: 'token' },
      adapters: [{ name: 'support', source: 'org/support', revision: ADAPTER_REVISION }]
    }),
    on('spread', { nodes: 2, settings: { ...pinned, tensorParallelSize: 4, pipelineParallelSize: 2 } }),
    on('mig', { accelerator: { kind: 'nvidia-mig', slice: '1g.10gb' } }),
    on('amd', { accelerator: { kind: 'amd' }, settings: { model: 's3://weights/llama' } }),
    on('intel', { accelerator: { kind: 'intel-xpu' } }),
    on('cpu', { accelerator: { kind: 'cpu' }, settings: { model: '/models' } })
  ],
  regions: [
    region({
      cluster: { kubernetes: '1.35', apis: [...CLUSTER_APIS] },
      imagePullSecrets: ['registry'],
      monitoring: { prometheusUrl: 'http://prometheus.monitoring.svc:9090' },
      gateway: {
        image: region().gateway.image,
        keysSecret: region().gateway.keysSecret,
        autoscaling: { maxReplicas: 9 },
        streams: {
          maxViewers: 4,
          signingKeySecret: { name: 'streams', key: 'signing-key' },
          redis: { urlSecret: { name: 'streams', key: 'redis-url' }, at: { namespace: 'redis' } }
        }
      },
      ingress: ingressFor('envoy-gateway', everythingFor('envoy-gateway')),
      network: {
        clients: { chat: { namespace: 'chat' } },
        dns: { nodeLocal: ['169.254.20.10'] }
      },
      secrets: [
        { source: 'external-secrets', name: 'api-keys', store, data: { 'keys.json': { key: 'keys' } } },
        {
          source: 'external-secrets',
          name: 'registry',
          type: 'kubernetes.io/dockerconfigjson',
          store,
          data: { '.dockerconfigjson': { key: 'registry' } }
        },
        { source: 'sealed-secrets', name: 'engine-key', encryptedData: { token: 'Ag'.padEnd(400, 'x') } }
      ],
      podSecurityExceptions: [
        { model: 'intel', need: 'ipc-lock', reason: 'The driver pins memory for transfers between devices.' }
      ],
      placements: [
        placement({ autoscaling, cache: shared }),
        placement({ model: 'spread', autoscaling, cache: shared }),
        placement({ model: 'mig', cache: { kind: 'host-path', path: '/weights' } }),
        placement({ model: 'amd', deviceGroups: [109], serviceAccountAnnotations: { 'example.com/role': 'weights' } }),
        placement({ model: 'intel', deviceGroups: [109] }),
        placement({
          model: 'cpu',
          cache: { kind: 'oci-image', reference: 'registry.example.com/weights:1.0.0' }
        })
      ]
    })
  ]
})
