// Every refusal of what guards a region: network, admission, Secrets, Pod Security.
import { describe, expect, it } from 'vitest'
import { model, problemsOf, region, stackOf } from '../stacks.ts'

const withRegion = (changes: object) => stackOf({ regions: [{ ...region(), ...changes }] })
const withMaker = (maker: string, secrets: object[], changes: object = {}) =>
  withRegion({ secrets, cluster: { apis: [maker] }, ...changes })
const externalKeys = {
  source: 'external-secrets',
  name: 'api-keys',
  store: { name: 'vault' },
  data: { 'keys.json': { key: 'sluice/keys' } }
}
const sealedKeys = { source: 'sealed-secrets', name: 'api-keys', encryptedData: { 'keys.json': 'Ag'.padEnd(400, 'x') } }

const REFUSALS: [title: string, input: unknown, ...problems: RegExp[]][] = [
  [
    'admission policies before Kubernetes has them',
    withRegion({ admission: 'deny', cluster: { kubernetes: '1.29' } }),
    /^regions\[0\]\.admission: deny needs ValidatingAdmissionPolicy, .* from 1\.30 on; cluster\.kubernetes says 1\.29/
  ],
  [
    'ends of an edge that are nobody',
    withRegion({
      network: {
        ingressController: { namespace: 'x', cidrs: ['10.0.0.0/8'] },
        clients: { 'No Name': { namespace: 'x' } },
        prometheus: 'all',
        dns: { nodeLocal: ['dns.local'] },
        modelSource: { cidrs: ['10.0.0.0'] }
      }
    }),
    /network\.ingressController: give pods as \{ namespace, podLabels \}, or addresses/,
    /network\.clients\.No Name: use a DNS label/,
    /network\.prometheus: give pods .*, or none/,
    /network\.dns\.nodeLocal\[0\]: use an address/,
    /network\.modelSource: use internet, none, or/
  ],
  [
    'a gateway that a few of its largest bodies would end',
    withRegion({ gateway: { ...region().gateway, maxBodyBytes: 1_073_741_824 } }),
    /^regions\[0\]\.gateway\.maxBodyBytes: 4 bodies of 1073741824 bytes don't fit into memoryMiB 1024, .* to 4096, or lower/
  ],
  [
    'WebSockets whose messages or memories would end a gateway',
    withRegion({
      gateway: { ...region().gateway, websocket: { maxMessageBytes: 1_073_741_824, historyBytes: 1_073_741_824 } }
    }),
    /gateway\.websocket\.maxMessageBytes: 4 bodies of 1073741824 bytes don't fit into memoryMiB 1024/,
    /gateway\.websocket\.historyBytes: .* more than half of memoryMiB 1024; raise memoryMiB to 2048, or lower it/
  ],
  [
    'a bound of WebSockets that there is not',
    withRegion({ gateway: { ...region().gateway, websocket: { maxStream: 3 } } }),
    /gateway\.websocket: there is no field maxStream here/
  ],
  [
    'origins and bounds of streams that the gateway itself would refuse',
    withRegion({
      gateway: {
        ...region().gateway,
        corsOrigins: ['https://app.example.com', 'app.example.com'],
        streams: { maxBytes: 268_435_456, maxJournals: 10 }
      }
    }),
    /^regions\[0\]\.gateway\.corsOrigins\[1\]: use \* or an origin, as https:\/\/app\.example\.com/,
    /gateway\.streams\.maxBytes: maxBytes \(268435456\) must be at most maxTotalBytes \(134217728\)/,
    /gateway\.streams\.maxJournalsPerKey: maxJournalsPerKey \(100\) must be at most maxJournals \(10\)/
  ],
  ...['default', 'kube-system'].map((namespace): (typeof REFUSALS)[number] => [
    `the namespace ${namespace}, whose pods it would shut in`,
    withRegion({ namespace }),
    /^regions\[0\]\.namespace: use a DNS label: .* are Kubernetes' own$/
  ]),
  [
    'a policy of the network that is none',
    withRegion({ networkPolicy: false }),
    /networkPolicy: use default-deny, or none/
  ],
  [
    'Secrets that nobody in the cluster makes, and one that is made twice',
    withRegion({ secrets: [sealedKeys, externalKeys] }),
    /^regions\[0\]\.secrets\[0\]\.source: sealed-secrets is not in cluster\.apis; add it .* or make api-keys by hand/,
    /secrets\[1\]\.source: external-secrets is not in/,
    /secrets\[1\]\.name: api-keys is made by secrets\[0\] already/
  ],
  [
    'a Secret without the key that is read',
    withMaker('external-secrets', [{ ...externalKeys, data: { 'keys.jsn': { key: 'a' } } }]),
    /^regions\[0\]\.secrets\[0\]\.data: api-keys gets no keys\.json, which gateway\.keysSecret names/
  ],
  [
    'a Secret of a model that is placed elsewhere, and a misspelt one',
    {
      ...withMaker('external-secrets', [
        { ...externalKeys, name: 'hub', data: { token: { key: 'a' } } },
        { ...externalKeys, name: 'api-keyz' }
      ]),
      models: [model(), model({ name: 'other', hfTokenSecret: { name: 'hub', key: 'token' } })]
    },
    /secrets\[0\]\.name: nothing in this region names hub/,
    /secrets\[1\]\.name: nothing in this region names api-keyz; is it misspelt\?/
  ],
  [
    'a certificate that two would fill',
    withMaker('external-secrets', [{ ...externalKeys, name: 'tls', type: 'kubernetes.io/tls' }], {
      cluster: { apis: ['external-secrets', 'cert-manager'] },
      ingress: { ...region().ingress, tls: { secretName: 'tls', clusterIssuer: 'acme' } }
    }),
    /secrets\[0\]\.name: cert-manager fills tls; leave out this Secret, or tls\.clusterIssuer/
  ],
  [
    'a value that is not sealed',
    withMaker('sealed-secrets', [{ ...sealedKeys, encryptedData: { 'keys.json': 'c3VwZXIgc2VjcmV0' } }]),
    /encryptedData\.keys\.json: use the value that kubeseal prints, never the value itself/
  ],
  [
    'Pod Security exceptions for nobody, twice, and without a reason',
    withRegion({
      podSecurityExceptions: [
        { model: 'llama', need: 'host-ipc', reason: 'RCCL shares memory over the node.' },
        { model: 'llama', need: 'host-ipc', reason: 'The same once more, by mistake.' },
        { model: 'gone', need: 'privileged', reason: 'A model that was here once.' }
      ]
    }),
    /^regions\[0\]\.podSecurityExceptions\[1\]: podSecurityExceptions\[0\] gives llama host-ipc already/,
    /podSecurityExceptions\[2\]\.model: gone is not placed in this region/
  ],
  [
    'a Pod Security exception that is none, and one without a reason',
    withRegion({ podSecurityExceptions: [{ model: 'llama', need: 'host-network', reason: 'fast' }] }),
    /podSecurityExceptions\[0\]\.need: .*"host-ipc"/,
    /podSecurityExceptions\[0\]\.reason: say why in a sentence/
  ]
]

describe('the guards of a region', () => {
  it.each(REFUSALS)('refuse %s', (_title, input, ...expected) => {
    const problems = problemsOf(input)
    expect(problems).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(problems[index]).toMatch(pattern)
  })

  it('take a Secret that is made for a key that is read', () => {
    expect(problemsOf(withMaker('external-secrets', [externalKeys]))).toEqual([])
    expect(problemsOf(withMaker('sealed-secrets', [sealedKeys]))).toEqual([])
  })
})
