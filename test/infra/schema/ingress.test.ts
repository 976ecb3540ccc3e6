// Every refusal of a way in, with the path that it names and the remedy.
import { describe, expect, it } from 'vitest'
import { CONTROLLER_TRAITS, INGRESS_CONTROLLERS } from '../../../infra/lib/ingress-controllers.ts'
import type { StackInput } from '../../../infra/schema.ts'
import { problemsOf, region, stackOf } from '../stacks.ts'
import { APIS, everythingFor, type IngressInput, ingressFor, stackThrough } from '../ways-in.ts'

type Controller = IngressInput['controller']
const written = (controller: Controller, changes: object) =>
  stackThrough({ ...ingressFor(controller), ...changes } as IngressInput)
const issuer = { secretName: 'tls', clusterIssuer: 'acme' }
const attached = { name: 'public', namespace: 'gateways' }
const routing = { policy: 'latency', awsRegion: 'eu-west-1' } as const
const shared = { host: 'llm.example.com', tls: { secretName: 'shared-tls' }, routing }
const arn = 'arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d'

const REFUSALS: [title: string, input: StackInput, ...problems: RegExp[]][] = [
  [
    'HSTS where the controller sends it of its own accord',
    written('ingress-nginx', { hsts: {} }),
    /^regions\[0\]\.ingress\.hsts: ingress-nginx can't do this: .*hsts-max-age/
  ],
  [
    'an allowlist and a CA that only the load balancer has, both at once',
    written('gke', { allowFrom: ['10.0.0.0/8'], clientCa: { name: 'ca', key: 'ca.crt' } }),
    /ingress\.allowFrom: gke can't do this: set it by a Cloud Armor/,
    /ingress\.clientCa: gke can't do this: set it by a ServerTlsPolicy/
  ],
  [
    'an address that is no network',
    written('traefik', { allowFrom: ['10.0.0.1', '10.0.0.0/8'] }),
    /ingress\.allowFrom\[0\]: use a network in CIDR/
  ],
  ['an allowlist of nobody', written('traefik', { allowFrom: [] }), /ingress\.allowFrom: name a network/],
  [
    'a Gateway for a controller of Ingresses',
    written('traefik', { gateway: attached }),
    /ingress\.gateway: traefik can't do this/,
    /ingress\.tls: the Gateway public has the certificate/
  ],
  [
    'a certificate beside a Gateway that has it',
    written('envoy-gateway', { gateway: attached }),
    /ingress\.tls: the Gateway public has the certificate; leave it out/
  ],
  ['no certificate at all', written('contour', { tls: {} }), /ingress\.tls\.secretName: contour needs it/],
  [
    'a Secret where the load balancer reads ACM',
    written('alb', { tls: issuer }),
    /ingress\.tls\.certificateArn: alb needs it/,
    /ingress\.tls\.secretName: alb does not read it; write certificateArn/,
    /ingress\.tls\.clusterIssuer: alb can't do this: .*write certificateArn/
  ],
  [
    'a certificate of ACM in front of another controller',
    written('kong', { tls: { certificateArn: arn } }),
    /ingress\.tls\.secretName: kong needs it/,
    /ingress\.tls\.certificateArn: kong does not read it/
  ],
  [
    'a CA under a key that no controller reads',
    written('traefik', { clientCa: { name: 'ca', key: 'tls.crt' } }),
    /ingress\.clientCa\.key: controllers read ca\.crt and no other key/
  ],
  ['what is no ARN', written('alb', { tls: { certificateArn: 'llm-tls' } }), /certificateArn: use the ARN/],
  [
    'an issuer whose Secret Istio would not find',
    written('istio', { tls: issuer }),
    /ingress\.tls\.clusterIssuer: istio can't do this: .*take istio-gateway/
  ],
  [
    'an IngressClass for a Gateway',
    written('cilium-gateway', { ingressClassName: 'cilium' }),
    /ingress\.ingressClassName: cilium-gateway makes no Ingress/
  ],
  [
    'a GatewayClass for an Ingress',
    written('cilium', { gatewayClassName: 'cilium' }),
    /ingress\.gatewayClassName: cilium is not the Gateway API/
  ],
  [
    'the Gateway API without an implementation',
    stackThrough({ controller: 'gateway-api', host: 'llm.example.com', tls: { secretName: 'tls' } }),
    /ingress\.gatewayClassName: name the GatewayClass/
  ],
  [
    'a CA at a Gateway that somebody else runs',
    stackThrough({
      controller: 'envoy-gateway',
      host: 'llm.example.com',
      gateway: attached,
      gatewayClassName: 'eg',
      clientCa: { name: 'ca', key: 'ca.crt' }
    }),
    /ingress\.gatewayClassName: the Gateway that is attached to has its class/,
    /ingress\.clientCa: the Gateway public asks for certificates/
  ],
  [
    'a shared host that is the own one, with the same Secret',
    written('f5-nginx', { tls: issuer, sharedHost: { ...shared, host: 'llm.eu-west.example.com', tls: issuer } }),
    /ingress\.sharedHost\.host: llm\.eu-west\.example\.com is the region's own/,
    /ingress\.sharedHost\.tls\.secretName: tls gets the other host's certificate/
  ],
  [
    'a shared host without a certificate',
    written('f5-nginx', { sharedHost: { host: 'llm.example.com', routing } }),
    /ingress\.sharedHost\.tls: say where the certificate is/
  ],
  [
    'an annotation that the API server refuses',
    written('f5-nginx', { annotations: { 'no key': 'x' } }),
    /ingress\.annotations\.no key: use the key of a label/
  ],
  [
    'a routing that is none',
    written('f5-nginx', { sharedHost: { ...shared, routing: { policy: 'nearest' } } }),
    /ingress\.sharedHost\.routing: use \{ policy: 'latency'/
  ]
]

describe('a way in', () => {
  it.each(INGRESS_CONTROLLERS)('through %s is accepted, with the least and with everything', (controller) => {
    expect(problemsOf(stackThrough(ingressFor(controller)))).toEqual([])
    expect(problemsOf(stackThrough(ingressFor(controller, everythingFor(controller))))).toEqual([])
  })

  it.each(INGRESS_CONTROLLERS)('through %s is refused whatever it can not do, with a remedy', (controller) => {
    const wishes = { hsts: {}, allowFrom: ['10.0.0.0/8'], clientCa: { name: 'ca', key: 'ca.crt' } }
    for (const [feature, wish] of Object.entries(wishes)) {
      const refused = problemsOf(written(controller, { [feature]: wish }))
      const remedy = CONTROLLER_TRAITS[controller].refuses[feature as keyof typeof wishes]
      expect(refused).toEqual(
        remedy === undefined ? [] : [`regions[0].ingress.${feature}: ${controller} can't do this: ${remedy}`]
      )
    }
  })

  it.each(REFUSALS)('refuses %s', (_title, input, ...expected) => {
    const problems = problemsOf(input)
    expect(problems).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(problems[index]).toMatch(pattern)
  })

  it('refuses what the cluster lacks, each with what to install', () => {
    const ingress = ingressFor('envoy-gateway', everythingFor('envoy-gateway'))
    const lacking = (apis: (typeof APIS)[number][]) => problemsOf(stackThrough(ingress, { cluster: { apis } }))
    expect(lacking([...APIS])).toEqual([])
    expect(lacking([]).map((problem) => problem.split(';')[0])).toEqual([
      'regions[0].ingress.controller: envoy-gateway needs gateway-api',
      'regions[0].ingress.dns: a record in DNS needs external-dns',
      'regions[0].ingress.sharedHost: a host of several regions needs external-dns',
      'regions[0].ingress.tls.clusterIssuer: an issuer needs cert-manager',
      'regions[0].ingress.sharedHost.tls.clusterIssuer: an issuer needs cert-manager'
    ])
    expect(lacking(['gateway-api', 'external-dns'])).toHaveLength(2)
  })

  it('takes a Gateway that somebody else runs, without a certificate', () => {
    for (const controller of ['envoy-gateway', 'gateway-api', 'istio'] as const) {
      expect(problemsOf(stackThrough({ controller, host: 'llm.example.com', gateway: attached }))).toEqual([])
    }
  })
})

describe('a host of several regions', () => {
  type Routing = NonNullable<IngressInput['sharedHost']>['routing']
  const stackWith = (...routings: [Routing, ...Routing[]]) =>
    stackOf({
      regions: routings.map((one, index) =>
        region({
          name: `region-${index}`,
          namespace: `region-${index}`,
          cluster: { apis: ['external-dns'] },
          ingress: { ...ingressFor('f5-nginx'), sharedHost: { ...shared, routing: one } }
        })
      )
    })

  it('is accepted where each region has a place of its own', () => {
    expect(problemsOf(stackWith(routing, { policy: 'latency', awsRegion: 'us-east-1' }))).toEqual([])
    expect(problemsOf(stackWith({ policy: 'geo', continent: 'EU' }, { policy: 'geo', country: '*' }))).toEqual([])
    expect(problemsOf(stackWith({ policy: 'weight', weight: 1 }, { policy: 'weight', weight: 1 }))).toEqual([])
  })

  it('is refused with two policies, which Route 53 does not take', () => {
    expect(problemsOf(stackWith(routing, { policy: 'weight', weight: 9 }))).toEqual([
      'regions[1].ingress.sharedHost.routing.policy: llm.example.com has latency in regions[0]; use one policy for a host'
    ])
  })

  it('is refused with two records of one place', () => {
    expect(problemsOf(stackWith(routing, { policy: 'latency', awsRegion: 'us-east-1' }, routing))).toEqual([
      'regions[2].ingress.sharedHost.routing: llm.example.com has a record of eu-west-1 in regions[0]; use another'
    ])
    expect(problemsOf(stackWith({ policy: 'geo', country: 'DE' }, { policy: 'geo', country: 'DE' }))).toHaveLength(1)
  })
})

describe('one host in two regions', () => {
  const stackWith = (ingress: Partial<IngressInput>) =>
    stackOf({
      regions: ['eu', 'us'].map((name) =>
        region({
          name,
          namespace: name,
          cluster: { apis: ['external-dns'] },
          ingress: { ...ingressFor('f5-nginx'), ...ingress }
        })
      )
    })

  it('is refused where both make its record, and accepted where somebody else leads it to them', () => {
    expect(problemsOf(stackWith({ dns: {} }))).toEqual([
      'regions[1].ingress.host: regions[0] makes the record of llm.eu-west.example.com already; give each region a host, and share one by sharedHost'
    ])
    expect(problemsOf(stackWith({}))).toEqual([])
  })
})
