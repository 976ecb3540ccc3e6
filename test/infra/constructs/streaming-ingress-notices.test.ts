// What synth says of a way in: what it takes for granted, and what somebody else has to see to.
import { describe, expect, it } from 'vitest'
import { noticesOf } from '../stacks.ts'
import { stackFor, stackThrough } from '../ways-in.ts'

describe('StreamingIngress', () => {
  it('says what a host that regions share takes for granted', () => {
    const sharedHost = {
      host: 'llm.example.com',
      tls: { secretName: 'shared-tls', clusterIssuer: 'acme' },
      routing: { policy: 'latency', awsRegion: 'eu-west-1' }
    } as const
    const notices = noticesOf(stackFor('f5-nginx', { sharedHost })).join('\n')
    expect(notices).toMatch(/llm\.example\.com: external-dns has to run with provider aws/)
    expect(notices).toMatch(/llm\.example\.com has no healthCheckId/)
    expect(notices).toMatch(/llm\.example\.com: its issuer has to solve DNS-01/)
    const { clusterIssuer: _issuer, ...tls } = sharedHost.tls
    const checked = { ...sharedHost, tls, healthCheckId: '6f1a0c8e-8a3b-4c57-9a55-0f5f4f1f2a3b' }
    expect(noticesOf(stackFor('f5-nginx', { sharedHost: checked })).join('\n')).not.toMatch(/healthCheckId|DNS-01/)
  })

  it("says that a Gateway of the region's own hears no challenge by HTTP-01, which comes over plain HTTP", () => {
    const tls = { secretName: 'llm-tls', clusterIssuer: 'acme' }
    const notice = /llm\.eu-west\.example\.com: issuer acme has to solve DNS-01; .* no listener on port 80/
    expect(noticesOf(stackFor('envoy-gateway', { tls })).join('\n')).toMatch(notice)
    expect(noticesOf(stackFor('envoy-gateway')).join('\n')).not.toMatch(/DNS-01/)
    for (const controller of ['f5-nginx', 'contour'] as const) {
      expect(noticesOf(stackFor(controller, { tls })).join('\n'), controller).not.toMatch(/DNS-01/)
    }
  })

  it('says that proxies of an unknown implementation are shut in where they run beside the gateway', () => {
    const shutIn = /proxies in namespace sluice can't configure them there/
    expect(noticesOf(stackFor('gateway-api')).join('\n')).toMatch(shutIn)
    const gateway = { name: 'public', namespace: 'gateways' }
    const attached = stackThrough({ controller: 'gateway-api', host: 'llm.example.com', gateway })
    expect(noticesOf(attached).join('\n')).not.toMatch(shutIn)
  })

  it('says which release a controller needs to check clients, where an older one would not', () => {
    const clientCa = { name: 'client-ca', key: 'ca.crt' } as const
    expect(noticesOf(stackFor('istio', { clientCa })).join('\n')).toMatch(/release 1\.28 or newer/)
    expect(noticesOf(stackFor('f5-nginx', { clientCa })).join('\n')).toMatch(/release 5\.4 or newer.*lets everybody in/)
    expect(noticesOf(stackFor('f5-nginx')).join('\n')).not.toMatch(/release/)
  })

  it('says what a Gateway has to do that somebody else runs', () => {
    const gateway = { name: 'public', namespace: 'gateways' }
    for (const controller of ['envoy-gateway', 'gke-gateway', 'istio'] as const) {
      const notices = noticesOf(stackThrough({ controller, host: 'llm.example.com', gateway })).join('\n')
      expect(notices).toMatch(/the Gateway gateways\/public has to end TLS for llm\.example\.com/)
    }
  })

  it('says that ingress-nginx is retired, and the way out', () => {
    const notices = noticesOf(stackFor('ingress-nginx')).join('\n')
    expect(notices).toMatch(/retired/)
    expect(notices).toMatch(/f5-nginx.*traefik/)
    expect(noticesOf(stackFor('traefik')).join()).not.toMatch(/retired/)
  })

  it('says what an Application Gateway needs that no annotation can give', () => {
    expect(noticesOf(stackFor('agic')).join('\n')).toMatch(
      /enableResponseBuffering.*to false on the Application Gateway/
    )
  })
})
