// From where each controller reaches the gateway, and that nobody else does.
import { describe, expect, it } from 'vitest'
import { INGRESS_CONTROLLERS } from '../../../../infra/lib/ingress-controllers.ts'
import { synthesize } from '../../../../infra/main.ts'
import { findSchemaProblems } from '../../kubernetes-schema.ts'
import { edgesOf } from '../../network-edges.ts'
import { isAllowed, type Party } from '../../network-evaluator.ts'
import { find, inTemporaryDirectory, manifestsOf, type region } from '../../stacks.ts'
import { ingressFor, stackThrough } from '../../ways-in.ts'

type Region = ReturnType<typeof region>

const name = (value: string) => ({ 'app.kubernetes.io/name': value })
const podIn = (namespace: string, labels: Record<string, string>): Party => ({
  address: '198.51.100.1',
  namespace,
  labels
})
/** Where connections of controllers come from, as their charts and clouds have it. */
const PLACES = {
  f5: podIn('nginx-ingress', name('nginx-ingress')),
  'ingress-nginx': podIn('ingress-nginx', {
    ...name('ingress-nginx'),
    'app.kubernetes.io/component': 'controller'
  }),
  traefik: podIn('traefik', name('traefik')),
  haproxytech: podIn('haproxy-controller', name('kubernetes-ingress')),
  'haproxy-ingress': podIn('ingress-controller', name('haproxy-ingress')),
  kong: podIn('kong', { ...name('gateway'), 'app.kubernetes.io/component': 'app' }),
  contour: podIn('projectcontour', { app: 'envoy' }),
  'envoy gateway': podIn('envoy-gateway-system', {
    ...name('envoy'),
    'app.kubernetes.io/managed-by': 'envoy-gateway',
    'app.kubernetes.io/component': 'proxy'
  }),
  istio: podIn('istio-system', { app: 'istio-ingressgateway', istio: 'ingressgateway' }),
  'proxies beside the gateway': podIn('sluice', { 'gateway.networking.k8s.io/gateway-name': 'gateway' }),
  'Cilium itself': { address: '198.51.100.2', entity: 'ingress' },
  Google: { address: '35.191.0.5' },
  'a private subnet': { address: '172.20.0.9' }
} satisfies Record<string, Party>
const CONTROLLERS: Record<(typeof INGRESS_CONTROLLERS)[number], keyof typeof PLACES> = {
  agic: 'a private subnet',
  alb: 'a private subnet',
  cilium: 'Cilium itself',
  'cilium-gateway': 'Cilium itself',
  contour: 'contour',
  'envoy-gateway': 'envoy gateway',
  'f5-nginx': 'f5',
  'gateway-api': 'proxies beside the gateway',
  gke: 'Google',
  'gke-gateway': 'Google',
  'haproxy-ingress': 'haproxy-ingress',
  haproxytech: 'haproxytech',
  'ingress-nginx': 'ingress-nginx',
  istio: 'istio',
  'istio-gateway': 'proxies beside the gateway',
  kong: 'kong',
  'kong-gateway': 'kong',
  'nginx-gateway-fabric': 'proxies beside the gateway',
  traefik: 'traefik',
  'traefik-gateway': 'traefik'
}

describe('the network around a way in', () => {
  it.each(INGRESS_CONTROLLERS)('lets %s in from where it is usually installed, and nobody else', async (controller) => {
    const manifests = manifestsOf(stackThrough(ingressFor(controller)))
    const inward = edgesOf(manifests, PLACES).filter((edge) => edge.endsWith(' -> gateway 8080'))
    expect(inward).toEqual([`${CONTROLLERS[controller]} -> gateway 8080`])
    for (const policy of manifests.filter(({ kind }) => kind.endsWith('NetworkPolicy'))) {
      expect(await findSchemaProblems(policy), policy.metadata.name).toEqual([])
    }
  })

  it.each([
    ['istio-gateway', 15_012, podIn('istio-system', { app: 'istiod' })],
    ['nginx-gateway-fabric', 8443, podIn('nginx-gateway', name('nginx-gateway-fabric'))]
  ] as const)('opens the proxies of %s to clients and to who configures them', (controller, port, controlPlane) => {
    const cluster = { kubernetes: '1.30', apis: ['gateway-api'] } satisfies Region['cluster']
    const manifests = manifestsOf(stackThrough(ingressFor(controller), { cluster }))
    const proxies = PLACES['proxies beside the gateway']
    const connect = (from: Party, to: Party, at: number) => isAllowed(manifests, { from, to, port: at })
    expect(connect({ address: '203.0.113.9' }, proxies, 443)).toBe(true)
    expect(connect({ address: '203.0.113.9' }, proxies, 8080)).toBe(false)
    expect(connect(proxies, controlPlane, port)).toBe(true)
    expect(connect(proxies, { address: '203.0.113.9' }, 443)).toBe(false)
    const { validations } = find(manifests, 'ValidatingAdmissionPolicy', 'sluice-services').spec
    expect(validations[0].expression).toContain(
      "variables.selector['gateway.networking.k8s.io/gateway-name'] == 'gateway'"
    )
  })

  it.each([
    ['gke', { ingressClassName: 'gce' }, false],
    ['gke', { ingressClassName: 'gce-internal' }, true],
    ['gke-gateway', { gatewayClassName: 'gke-l7-gxlb' }, false],
    ['gke-gateway', { gatewayClassName: 'gke-l7-rilb' }, true]
  ] as const)(
    'lets the proxies of a regional load balancer of Google in: %s %j, %s',
    (controller, changes, regional) => {
      const stack = stackThrough(ingressFor(controller, changes))
      const inward = edgesOf(manifestsOf(stack), PLACES).filter((edge) => edge.endsWith(' -> gateway 8080'))
      const from = ['Google', ...(regional ? ['a private subnet'] : [])]
      expect(inward).toEqual(from.map((one) => `${one} -> gateway 8080`))
      const notices = inTemporaryDirectory((directory) => synthesize(stack, directory).notices).join('\n')
      expect(/proxy-only subnet is not known; name them in network/.test(notices)).toBe(regional)
    }
  )

  it('follows a Gateway that is attached to, and opens nothing to the world then', () => {
    const gateway = { name: 'shared', namespace: 'edge' }
    const { tls: _tls, ...ingress } = ingressFor('istio-gateway', { gateway })
    const manifests = manifestsOf(stackThrough(ingress))
    const shared = podIn('edge', { 'gateway.networking.k8s.io/gateway-name': 'shared' })
    const others = { ...PLACES, shared, world: { address: '203.0.113.9' } }
    expect(edgesOf(manifests, others).filter((edge) => / -> gateway |^world/.test(edge))).toEqual([
      'shared -> gateway 8080'
    ])
  })

  it('says where nobody can know who comes in, until the stack does', () => {
    const noticesOf = (changes: Partial<Region>) =>
      inTemporaryDirectory((directory) => synthesize(stackThrough(ingressFor('alb'), changes), directory).notices)
    const ofNetwork = (notices: readonly string[]) => notices.filter((one) => one.includes('ingressController'))
    expect(ofNetwork(noticesOf({}))).toHaveLength(1)
    expect(ofNetwork(noticesOf({ network: { ingressController: { cidrs: ['10.4.0.0/24'] } } }))).toEqual([])
    expect(ofNetwork(noticesOf({ networkPolicy: 'none' }))).toEqual([])
    const attached = {
      controller: 'gke-gateway',
      host: 'llm.example.com',
      gateway: { name: 'shared', namespace: 'edge' }
    } as const
    const notices = inTemporaryDirectory((directory) => synthesize(stackThrough(attached), directory).notices)
    expect(ofNetwork(notices).join()).toMatch(/Gateway shared is taken for a global one/)
  })
})
