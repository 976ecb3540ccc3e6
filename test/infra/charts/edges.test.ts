// Every edge of a region's network, found by trying all connections against its policies.
import { describe, expect, it } from 'vitest'
import { edgesOf, PORTS } from '../network-edges.ts'
import type { Party } from '../network-evaluator.ts'
import { find, manifestsOf, model, placement, podOf, region, stackOf } from '../stacks.ts'

type Region = ReturnType<typeof region>

const name = (value: string) => ({ 'app.kubernetes.io/name': value })
const CONTROLLER: Party = { address: '10.1.0.1', namespace: 'nginx-ingress', labels: name('nginx-ingress') }
const OTHERS: Record<string, Party> = {
  controller: CONTROLLER,
  'controller elsewhere': { ...CONTROLLER, namespace: 'default' },
  'beside the controller': { address: '10.1.0.1', namespace: 'nginx-ingress', labels: { app: 'other' } },
  'beside dns': { address: '10.1.0.3', namespace: 'kube-system', labels: { app: 'other' } },
  'in the clothes of the controller': { address: '10.1.0.5', namespace: 'sluice', labels: name('nginx-ingress') },
  prometheus: { address: '10.1.0.2', namespace: 'monitoring', labels: name('prometheus') },
  dns: { address: '10.1.0.3', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
  'node dns': { address: '169.254.20.10' },
  application: { address: '10.1.0.4', namespace: 'chat', labels: { app: 'chat' } },
  neighbour: { address: '10.1.0.5', namespace: 'sluice', labels: { app: 'debug' } },
  solver: { address: '10.1.0.6', namespace: 'sluice', labels: { 'acme.cert-manager.io/http01-solver': 'true' } },
  'API server': { address: '10.96.0.1' },
  'cloud metadata': { address: '169.254.169.254' },
  'cloud metadata over IPv6': { address: 'fd00:ec2::254' },
  node: { address: '192.168.1.10' },
  'shared address': { address: '100.64.0.7' },
  mirror: { address: '10.2.0.9' },
  internet: { address: '18.164.174.1' },
  'internet over IPv6': { address: '2600:9000::1' }
}
const STREAMS = {
  signingKeySecret: { name: 'streams', key: 'signing-key' },
  redis: { urlSecret: { name: 'streams', key: 'redis-url' } }
}
const both = [placement(), placement({ model: 'qwen' })]
const edgesWith = (changes: Partial<Region> = {}) =>
  edgesOf(
    manifestsOf(
      stackOf({
        models: [model(), model({ name: 'qwen', servedName: 'qwen' })],
        regions: [region({ placements: both, ...changes })]
      })
    ),
    OTHERS
  )

const OWN = ['engine-llama', 'engine-qwen', 'gateway', 'in the clothes of the controller', 'neighbour', 'solver']
const ENGINES = ['engine-llama', 'engine-qwen']
const BASE = [
  ...OWN.flatMap((from) => [`${from} -> dns 53`, `${from} -> dns 53/udp`]),
  'controller -> gateway 8080',
  ...ENGINES.flatMap((engine) => [
    `gateway -> ${engine} 8000`,
    `${engine} -> internet 443`,
    `${engine} -> internet over IPv6 443`
  ])
].sort()
const withoutInternet = BASE.filter((edge) => !edge.includes('internet'))

describe('the network of a region', () => {
  it('has these edges and no others: no engine is reached but by the gateway, and nobody reaches the API server', () => {
    expect(edgesWith().sort()).toEqual(BASE)
  })

  it('lets Prometheus in where its operator is, to the ports that have metrics', () => {
    const cluster = { apis: ['prometheus-operator'] } satisfies Region['cluster']
    const scraped = ['prometheus -> gateway 8080', ...ENGINES.map((engine) => `prometheus -> ${engine} 8000`)]
    expect(edgesWith({ cluster }).sort()).toEqual([...BASE, ...scraped].sort())
    expect(edgesWith({ cluster, network: { prometheus: 'none' } }).sort()).toEqual(BASE)
    const elsewhere = { prometheus: { namespace: 'chat', podLabels: { app: 'chat' } } }
    expect(edgesWith({ network: elsewhere })).toContain('application -> engine-qwen 8000')
  })

  it('lets the controller answer challenges where cert-manager gets the certificate', () => {
    const ingress = { ...region().ingress, tls: { secretName: 'tls', clusterIssuer: 'acme' } }
    const cluster = { apis: ['cert-manager'] } satisfies Region['cluster']
    expect(edgesWith({ cluster, ingress }).sort()).toEqual([...BASE, 'controller -> solver 8089'].sort())
  })

  it('takes the controller from elsewhere, by pods or by addresses, instead of its usual place', () => {
    const pods = { ingressController: { namespace: 'default', podLabels: name('nginx-ingress') } }
    const moved = BASE.map((edge) => edge.replace(/^controller ->/, 'controller elsewhere ->'))
    expect(edgesWith({ network: pods }).sort()).toEqual(moved.sort())
    const nodes = { ingressController: { cidrs: ['192.168.0.0/16'] } }
    const fromNodes = BASE.map((edge) => edge.replace(/^controller ->/, 'node ->'))
    expect(edgesWith({ network: nodes }).sort()).toEqual(fromNodes.sort())
  })

  it('lets the clients that are named call the gateway, and no engine', () => {
    const clients = { chat: { namespace: 'chat' }, debug: { namespace: 'sluice', podLabels: { app: 'debug' } } }
    const called = ['application -> gateway 8080', 'neighbour -> gateway 8080']
    expect(edgesWith({ network: { clients } }).sort()).toEqual([...BASE, ...called].sort())
  })

  it('lets the gateway, and no engine, connect to the Redis of its streams', () => {
    const withRedis = (at: object) => ({
      ...region().gateway,
      streams: { ...STREAMS, redis: { ...STREAMS.redis, at } }
    })
    const elsewhere = { namespace: 'chat', podLabels: { app: 'chat' } }
    expect(edgesWith({ gateway: withRedis(elsewhere) as Region['gateway'] }).sort()).toEqual(
      [...BASE, 'gateway -> application 6379'].sort()
    )
    const beside = { namespace: 'sluice', podLabels: { app: 'debug' } }
    expect(edgesWith({ gateway: withRedis(beside) as Region['gateway'] }).sort()).toEqual(
      [...BASE, 'gateway -> neighbour 6379'].sort()
    )
    const managed = { cidrs: ['10.2.0.0/24'] }
    expect(edgesWith({ gateway: withRedis(managed) as Region['gateway'] }).sort()).toEqual(
      [...BASE, 'gateway -> mirror 6379'].sort()
    )
  })

  it('narrows the source of models to a mirror, or to none at all', () => {
    const mirror = { cidrs: ['10.2.0.0/24'], ports: [443, 3128] }
    const toMirror = ENGINES.flatMap((engine) => mirror.ports.map((port) => `${engine} -> mirror ${port}`))
    expect(edgesWith({ network: { modelSource: mirror } }).sort()).toEqual([...withoutInternet, ...toMirror].sort())
    expect(edgesWith({ network: { modelSource: 'none' } }).sort()).toEqual(withoutInternet)
  })

  it('tells engines without a source of models that they are offline, so that they do not wait for one', () => {
    const variablesOf = (network: Region['network'] = {}) =>
      podOf(manifestsOf(stackOf({ regions: [region({ network })] })), 'engine-llama').containers[0].env
    const offline = { name: 'HF_HUB_OFFLINE', value: '1' }
    expect(variablesOf({ modelSource: 'none' })).toContainEqual(offline)
    expect(variablesOf()).not.toContainEqual(offline)
  })

  it("lets an engine with an identity of Google's ask GKE's metadata server for its tokens, and no other pod", () => {
    const annotations = { 'iam.gke.io/gcp-service-account': 'weights@project.iam.gserviceaccount.com' }
    const placements = [placement({ serviceAccountAnnotations: annotations }), placement({ model: 'qwen' })]
    const asked = [80, 987, 988, 8080].map((port) => `engine-llama -> cloud metadata ${port}`)
    expect(edgesWith({ placements }).sort()).toEqual([...BASE, ...asked].sort())
    const elsewhere = placement({
      serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/w' }
    })
    expect(edgesWith({ placements: [elsewhere, placement({ model: 'qwen' })] }).sort()).toEqual(BASE)
  })

  it('lets the pods of a replica on several nodes find each other, and the gateway only the one that serves', () => {
    const spread = model({ gpus: 8, nodes: 2, settings: { model: 'org/big', tensorParallelSize: 8 } })
    const cluster = { apis: ['leader-worker-set'] } satisfies Region['cluster']
    const edges = edgesOf(manifestsOf(stackOf({ models: [spread], regions: [region({ cluster })] })), OTHERS)
    const group = ['engine-llama -> engine-llama-worker', 'engine-llama-worker -> engine-llama']
    const everyPort = PORTS.flatMap((port) => [`${port}`, `${port}/udp`])
    const inside = edges.filter((edge) => group.includes(edge.replace(/ \S+$/, '')))
    expect(inside.sort()).toEqual(group.flatMap((edge) => everyPort.map((port) => `${edge} ${port}`)).sort())
    expect(edges).toContain('gateway -> engine-llama 8000')
    expect(edges).toContain('engine-llama-worker -> internet 443')
    expect(edges.filter((edge) => /^(gateway|controller) -> engine-llama-worker/.test(edge))).toEqual([])
  })

  it('lets a warm-up reach the source of models and nothing else but DNS', () => {
    const cache = { kind: 'new-claim', sizeGiB: 50, warmUp: true } as const
    const pinned = model({ settings: { model: 'org/name', revision: '0'.repeat(40) } })
    const warmed = (changes: Partial<Region> = {}) =>
      edgesOf(
        manifestsOf(
          stackOf({ models: [pinned], regions: [region({ placements: [placement({ cache })], ...changes })] })
        ),
        OTHERS
      ).filter((edge) => edge.includes('warm-up'))
    const from = (...ends: string[]) => ends.map((end) => `engine-llama-warm-up -> ${end}`)
    expect(warmed().sort()).toEqual(from('dns 53', 'dns 53/udp', 'internet 443', 'internet over IPv6 443').sort())
    expect(warmed({ network: { modelSource: 'none' } }).sort()).toEqual(from('dns 53', 'dns 53/udp').sort())
  })

  it("asks a cluster's own DNS, and a cache on the node where there is one", () => {
    const cached = OWN.flatMap((from) => [`${from} -> node dns 53`, `${from} -> node dns 53/udp`])
    expect(edgesWith({ network: { dns: { nodeLocal: ['169.254.20.10'] } } }).sort()).toEqual(
      [...BASE, ...cached].sort()
    )
    const other = { namespace: 'chat', podLabels: { app: 'chat' }, port: 8089 }
    const edges = edgesWith({ network: { dns: other } })
    expect(edges).toContain('gateway -> application 8089/udp')
    expect(edges.filter((edge) => edge.includes('-> dns'))).toEqual([])
  })

  it('is left open where the stack says none, and no file of policies is written', () => {
    const manifests = manifestsOf(stackOf({ regions: [region({ networkPolicy: 'none' })] }))
    expect(manifests.filter(({ kind }) => kind.endsWith('NetworkPolicy'))).toEqual([])
    expect(edgesOf(manifests, OTHERS)).toContain('neighbour -> engine-llama 8000')
  })

  it('is told by names, so that a reviewer reads who talks to whom', () => {
    const policies = manifestsOf(stackOf()).filter(({ kind }) => kind === 'NetworkPolicy')
    expect(policies.map(({ metadata }) => metadata.name)).toEqual([
      'default-deny',
      'pods-to-dns',
      'gateway-from-ingress-controller',
      'gateway-to-engine-llama',
      'engine-llama-from-gateway',
      'engine-llama-to-model-source'
    ])
    expect(find(policies, 'NetworkPolicy', 'default-deny').spec).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress']
    })
  })
})
