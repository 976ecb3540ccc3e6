// The stack: which models run in which regions. This is the one file that an operator edits; then `npm run synth`.
import type { PlacementInput, RegionInput, StackInput } from './schema.ts'

/**
 * The Secrets that must be in each region's namespace before its pods start. Manifests name them and never hold a value.
 * `apiKeys` is the file that `npm run keys` writes; the TLS Secret is cert-manager's. A region's `secrets` may make them.
 */
export const SECRETS = {
  apiKeys: { name: 'sluice-api-keys', key: 'keys.json' },
  engineKey: { name: 'vllm-api-key', key: 'token' },
  huggingFace: { name: 'hugging-face', key: 'token' }
} as const

const GATEWAY_IMAGE = 'ghcr.io/sluice/gateway:0.1.0'
const ENGINE_IMAGE = 'vllm/vllm-openai:v0.31.0'

const gpuNodes = (product: string): Pick<PlacementInput, 'nodeSelector' | 'tolerations'> => ({
  nodeSelector: { 'nvidia.com/gpu.product': product },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]
})

/** What Prometheus' own operator is asked by KEDA, and the labels by which it finds monitors and rules. */
const MONITORING: NonNullable<RegionInput['monitoring']> = {
  prometheusUrl: 'http://prometheus-operated.monitoring.svc:9090',
  labels: { release: 'kube-prometheus-stack' }
}

/** One name for all regions: Route 53 answers with the one that is the nearest to a client. */
const sharedHost = (awsRegion: string): NonNullable<RegionInput['ingress']['sharedHost']> => ({
  host: 'llm.example.com',
  tls: { secretName: 'llm-shared-tls', clusterIssuer: 'letsencrypt' },
  routing: { policy: 'latency', awsRegion }
})

export const stack: StackInput = {
  // The repository that holds this file and charts-out/; `npm run synth` writes what Argo CD and Flux need to follow it.
  gitops: { kind: 'both', repoURL: 'https://git.example.com/platform/sluice.git' },
  models: [
    {
      name: 'llama-3-1-8b',
      servedName: 'llama-3.1-8b-instruct',
      image: ENGINE_IMAGE,
      gpus: 1,
      maxOutputTokens: 4096,
      loadSeconds: 900,
      hfTokenSecret: SECRETS.huggingFace,
      engineKeySecret: SECRETS.engineKey,
      settings: {
        model: 'meta-llama/Llama-3.1-8B-Instruct',
        revision: '0e9e39f249a16976918f6564b8830bc894c89659',
        maxModelLen: 32_768,
        maxNumSeqs: 128,
        gpuMemoryUtilization: 0.92
      }
    },
    {
      name: 'qwen3-32b',
      servedName: 'qwen3-32b',
      image: ENGINE_IMAGE,
      gpus: 4,
      maxOutputTokens: 16_384,
      loadSeconds: 1800,
      engineKeySecret: SECRETS.engineKey,
      settings: {
        model: 'Qwen/Qwen3-32B',
        revision: '9216db5781bf21249d130ec9da846c4624c16137',
        tensorParallelSize: 4,
        maxModelLen: 40_960,
        maxNumSeqs: 256,
        maxNumBatchedTokens: 8192,
        gpuMemoryUtilization: 0.92,
        maxNumQueuedReqs: 4096,
        extraArgs: ['--reasoning-parser=qwen3']
      }
    }
  ],
  regions: [
    {
      name: 'eu-west',
      namespace: 'sluice-eu-west',
      cluster: { kubernetes: '1.33', apis: ['cert-manager', 'external-dns', 'keda', 'prometheus-operator'] },
      monitoring: MONITORING,
      gateway: {
        image: GATEWAY_IMAGE,
        autoscaling: { minReplicas: 3, maxReplicas: 12 },
        keysSecret: SECRETS.apiKeys
      },
      ingress: {
        controller: 'f5-nginx',
        host: 'llm.eu-west.example.com',
        tls: { secretName: 'llm-tls', clusterIssuer: 'letsencrypt' },
        sharedHost: sharedHost('eu-west-1'),
        dns: {},
        hsts: {}
      },
      placements: [
        {
          model: 'llama-3-1-8b',
          autoscaling: { minReplicas: 2, maxReplicas: 6 },
          cache: { kind: 'new-claim', sizeGiB: 100, storageClassName: 'shared-files', warmUp: true },
          ...gpuNodes('NVIDIA-L40S')
        },
        {
          model: 'qwen3-32b',
          cache: { kind: 'new-claim', sizeGiB: 300, storageClassName: 'shared-files', warmUp: true },
          ...gpuNodes('NVIDIA-H100-80GB-HBM3')
        }
      ]
    },
    {
      name: 'us-east',
      namespace: 'sluice-us-east',
      cluster: { kubernetes: '1.33', apis: ['cert-manager', 'external-dns', 'keda', 'prometheus-operator'] },
      monitoring: MONITORING,
      // A CDN in front of this region closes a silent connection after 100 s, so a beat every 10 s is plenty.
      budget: { outerIdleMs: 100_000 },
      gateway: { image: GATEWAY_IMAGE, autoscaling: { maxReplicas: 8 }, keysSecret: SECRETS.apiKeys },
      ingress: {
        controller: 'traefik',
        host: 'llm.us-east.example.com',
        tls: { secretName: 'llm-tls', clusterIssuer: 'letsencrypt' },
        sharedHost: sharedHost('us-east-1'),
        dns: {},
        hsts: {}
      },
      placements: [
        {
          model: 'llama-3-1-8b',
          cache: { kind: 'new-claim', sizeGiB: 100, storageClassName: 'shared-files' },
          ...gpuNodes('NVIDIA-L40S')
        },
        {
          model: 'qwen3-32b',
          // Eight GPUs in all: no spare four for a surge, and an outage of minutes at an upgrade is accepted here.
          rollout: 'recreate',
          cache: { kind: 'new-claim', sizeGiB: 300, accessMode: 'ReadWriteOnce' },
          ...gpuNodes('NVIDIA-H100-80GB-HBM3')
        }
      ]
    }
  ]
}
