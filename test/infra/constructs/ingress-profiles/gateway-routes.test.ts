// The Gateway and the HTTPRoutes of each implementation of the Gateway API.
import { describe, expect, it } from 'vitest'
import { find, type Manifest, manifestsOf } from '../../stacks.ts'
import { type IngressInput, ingressFor, stackThrough } from '../../ways-in.ts'

type Controller = IngressInput['controller']

const hsts = { maxAgeSeconds: 600, includeSubDomains: false }
const allowFrom = ['203.0.113.0/24']
const attached = { name: 'public', namespace: 'gateways', listener: 'https' }

const manifestsFor = (controller: Controller, changes: Partial<IngressInput> = {}) =>
  manifestsOf(stackThrough(ingressFor(controller, changes)))
const specOf = (controller: Controller, kind: string, name: string, changes: Partial<IngressInput> = {}) =>
  find(manifestsFor(controller, changes), kind, name).spec
const kindsOf = (manifests: readonly Manifest[]) => manifests.map(({ kind }) => kind)

describe('a Gateway', () => {
  const PARENT = { group: 'gateway.networking.k8s.io', kind: 'Gateway' }
  const TIMED = ['gateway-api', 'envoy-gateway', 'istio-gateway', 'cilium-gateway'] as const
  const UNTIMED = ['gke-gateway', 'kong-gateway', 'nginx-gateway-fabric', 'traefik-gateway'] as const

  it('listens for TLS and nothing else, with the class of the implementation or the one that is named', () => {
    expect(specOf('cilium-gateway', 'Gateway', 'gateway')).toEqual({
      gatewayClassName: 'cilium',
      listeners: [
        {
          name: 'gateway',
          hostname: 'llm.eu-west.example.com',
          port: 443,
          protocol: 'HTTPS',
          tls: { mode: 'Terminate', certificateRefs: [{ group: '', kind: 'Secret', name: 'llm-tls' }] },
          allowedRoutes: { namespaces: { from: 'Same' } }
        }
      ]
    })
    expect(specOf('gke-gateway', 'Gateway', 'gateway', { gatewayClassName: 'gke-l7-rilb' }).gatewayClassName).toBe(
      'gke-l7-rilb'
    )
    expect(specOf('traefik-gateway', 'Gateway', 'gateway').listeners[0].port).toBe(8443)
    const { infrastructure } = specOf('envoy-gateway', 'Gateway', 'gateway')
    expect(infrastructure.parametersRef).toEqual({
      group: 'gateway.envoyproxy.io',
      kind: 'EnvoyProxy',
      name: 'gateway'
    })
  })

  it.each(TIMED)('of %s gets its timer from the HTTPRoute', (controller) => {
    expect(specOf(controller, 'HTTPRoute', 'gateway')).toEqual({
      parentRefs: [{ ...PARENT, name: 'gateway', sectionName: 'gateway' }],
      hostnames: ['llm.eu-west.example.com'],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/v1' } }],
          timeouts: { request: '1215s', backendRequest: '1215s' },
          backendRefs: [{ group: '', kind: 'Service', name: 'gateway', port: 8080, weight: 1 }]
        }
      ]
    })
  })

  it.each(UNTIMED)('of %s gets no timer that it would not read', (controller) => {
    expect(specOf(controller, 'HTTPRoute', 'gateway').rules[0]).not.toHaveProperty('timeouts')
  })

  it('adds HSTS by a filter of the API, or by what the implementation has instead', () => {
    const filtersOf = (controller: Controller) => specOf(controller, 'HTTPRoute', 'gateway', { hsts }).rules[0].filters
    const modifier = { set: [{ name: 'Strict-Transport-Security', value: 'max-age=600' }] }
    expect(filtersOf('gke-gateway')).toEqual([{ type: 'ResponseHeaderModifier', responseHeaderModifier: modifier }])
    expect(filtersOf('traefik-gateway')).toEqual([
      { type: 'ExtensionRef', extensionRef: { group: 'traefik.io', kind: 'Middleware', name: 'gateway-hsts' } }
    ])
    expect(filtersOf('kong-gateway')).toBeUndefined()
  })

  it('turns buffering off at the HTTPRoute for Kong', () => {
    const route = find(manifestsFor('kong-gateway', { allowFrom }), 'HTTPRoute', 'gateway')
    expect(route.metadata.annotations).toEqual({
      'konghq.com/response-buffering': 'false',
      'konghq.com/request-buffering': 'false',
      'konghq.com/plugins': 'gateway-allow'
    })
  })

  it('that somebody else runs is attached to, and gets neither listener nor policy from here', () => {
    const { tls: _tls, gatewayClassName: _class, ...ingress } = ingressFor('envoy-gateway', { gateway: attached })
    const manifests = manifestsOf(stackThrough(ingress))
    expect(find(manifests, 'HTTPRoute', 'gateway').spec.parentRefs).toEqual([
      { ...PARENT, name: 'public', namespace: 'gateways', sectionName: 'https' }
    ])
    expect(kindsOf(manifests)).toContain('BackendTrafficPolicy')
    for (const kind of ['Gateway', 'EnvoyProxy', 'ClientTrafficPolicy']) expect(kindsOf(manifests)).not.toContain(kind)
  })

  it('that somebody else runs is attached to by a VirtualService of Istio, too', () => {
    const manifests = manifestsOf(
      stackThrough({ controller: 'istio', host: 'llm.example.com', gateway: { name: 'public', namespace: 'gateways' } })
    )
    expect(find(manifests, 'VirtualService', 'gateway').spec.gateways).toEqual(['gateways/public'])
    expect(kindsOf(manifests)).not.toContain('Gateway')
  })
})
