// The objects that controllers have kinds of their own for, field by field.
import { describe, expect, it } from 'vitest'
import { find, type Manifest, manifestsOf } from '../../stacks.ts'
import { type IngressInput, ingressFor, stackThrough } from '../../ways-in.ts'

type Controller = IngressInput['controller']

const hsts = { maxAgeSeconds: 600, includeSubDomains: false }
const allowFrom = ['203.0.113.0/24']
const clientCa = { name: 'client-ca', key: 'ca.crt' } as const
const routeRef = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'gateway' }
const gatewayRef = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'gateway' }
const serviceRef = { group: '', kind: 'Service', name: 'gateway' }
const header = 'Strict-Transport-Security'

const manifestsFor = (controller: Controller, changes: Partial<IngressInput> = {}) =>
  manifestsOf(stackThrough(ingressFor(controller, changes)))
const specOf = (controller: Controller, kind: string, name: string, changes: Partial<IngressInput> = {}) =>
  find(manifestsFor(controller, changes), kind, name).spec
const kindsOf = (manifests: readonly Manifest[]) => manifests.map(({ kind }) => kind)

/** The whole `spec` of an object, for a stream of 1200 s and a body of 7654321 bytes. */
type Case = [controller: Controller, kind: string, name: string, changes: Partial<IngressInput>, spec: object]
const SPECS: Case[] = [
  [
    'contour',
    'HTTPProxy',
    'gateway',
    { hsts, allowFrom, clientCa },
    {
      ingressClassName: 'contour',
      virtualhost: {
        fqdn: 'llm.eu-west.example.com',
        tls: { secretName: 'llm-tls', clientValidation: { caSecret: 'client-ca' } },
        ipAllowPolicy: [{ source: 'Peer', cidr: '203.0.113.0/24' }]
      },
      routes: [
        {
          conditions: [{ prefix: '/v1' }],
          services: [{ name: 'gateway', port: 8080 }],
          enableWebsockets: true,
          timeoutPolicy: { response: '1215s', idle: '1215s', idleConnection: '60s' },
          responseHeadersPolicy: { set: [{ name: header, value: 'max-age=600' }] }
        }
      ]
    }
  ],
  [
    'envoy-gateway',
    'BackendTrafficPolicy',
    'gateway',
    {},
    {
      targetRefs: [routeRef],
      timeout: {
        http: { requestTimeout: '1215s', connectionIdleTimeout: '60s' },
        tcp: { connectTimeout: '5s' }
      },
      httpUpgrade: [{ type: 'websocket' }]
    }
  ],
  [
    'envoy-gateway',
    'ClientTrafficPolicy',
    'gateway',
    { clientCa },
    {
      targetRefs: [gatewayRef],
      timeout: { http: { streamIdleTimeout: '1215s' } },
      tls: { clientValidation: { caCertificateRefs: [{ group: '', kind: 'Secret', name: 'client-ca' }] } }
    }
  ],
  [
    'envoy-gateway',
    'SecurityPolicy',
    'gateway',
    { allowFrom },
    {
      targetRefs: [routeRef],
      authorization: {
        defaultAction: 'Deny',
        rules: [{ name: 'allow', action: 'Allow', principal: { clientCIDRs: ['203.0.113.0/24'] } }]
      }
    }
  ],
  ['envoy-gateway', 'EnvoyProxy', 'gateway', {}, { shutdown: { drainTimeout: '1215s' } }],
  ['f5-nginx', 'Policy', 'gateway-allow', { allowFrom, clientCa }, { accessControl: { allow: ['203.0.113.0/24'] } }],
  [
    'f5-nginx',
    'Policy',
    'gateway-client-ca',
    { allowFrom, clientCa },
    { ingressMTLS: { clientCertSecret: 'client-ca', verifyClient: 'on' } }
  ],
  [
    'gke',
    'BackendConfig',
    'gateway',
    { hsts },
    {
      timeoutSec: 4815,
      connectionDraining: { drainingTimeoutSec: 1215 },
      healthCheck: { type: 'HTTP', requestPath: '/readyz', port: 8080 },
      customResponseHeaders: { headers: ['Strict-Transport-Security: max-age=600'] }
    }
  ],
  ['gke', 'FrontendConfig', 'gateway', {}, { redirectToHttps: { enabled: true } }],
  [
    'gke-gateway',
    'GCPBackendPolicy',
    'gateway',
    {},
    {
      default: { timeoutSec: 4815, connectionDraining: { drainingTimeoutSec: 1215 } },
      targetRef: serviceRef
    }
  ],
  [
    'gke-gateway',
    'HealthCheckPolicy',
    'gateway',
    {},
    {
      default: { config: { type: 'HTTP', httpHealthCheck: { port: 8080, requestPath: '/readyz' } } },
      targetRef: serviceRef
    }
  ],
  [
    'istio',
    'Gateway',
    'gateway',
    { clientCa },
    {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          hosts: ['llm.eu-west.example.com'],
          port: { name: 'https', number: 443, protocol: 'HTTPS' },
          tls: { mode: 'MUTUAL', credentialName: 'llm-tls', caCertCredentialName: 'client-ca' }
        }
      ]
    }
  ],
  [
    'istio',
    'VirtualService',
    'gateway',
    { hsts },
    {
      hosts: ['llm.eu-west.example.com'],
      gateways: ['gateway'],
      http: [
        {
          match: [{ uri: { prefix: '/v1' } }],
          route: [{ destination: { host: 'gateway', port: { number: 8080 } } }],
          timeout: '1215s',
          retries: { attempts: 0 },
          headers: { response: { set: { [header]: 'max-age=600' } } }
        }
      ]
    }
  ],
  ...(['istio', 'istio-gateway'] as const).map(
    (controller): Case => [
      controller,
      'DestinationRule',
      'gateway',
      {},
      {
        host: 'gateway',
        trafficPolicy: { connectionPool: { tcp: { connectTimeout: '5s' }, http: { idleTimeout: '60s' } } }
      }
    ]
  ),
  [
    'istio-gateway',
    'AuthorizationPolicy',
    'gateway',
    { allowFrom },
    {
      targetRefs: [gatewayRef],
      action: 'ALLOW',
      rules: [{ from: [{ source: { remoteIpBlocks: ['203.0.113.0/24'] } }] }]
    }
  ],
  [
    'nginx-gateway-fabric',
    'ProxySettingsPolicy',
    'gateway',
    {},
    {
      targetRefs: [routeRef],
      buffering: { disable: true },
      timeout: { connect: '5s', read: '1215s', send: '1215s' }
    }
  ],
  [
    'nginx-gateway-fabric',
    'ClientSettingsPolicy',
    'gateway',
    {},
    // 7654321 bytes, rounded up to KiB.
    { targetRef: routeRef, body: { maxSize: '7475k' } }
  ],
  [
    'traefik',
    'ServersTransport',
    'gateway-streaming',
    {},
    { forwardingTimeouts: { dialTimeout: '5s', responseHeaderTimeout: '1215s', idleConnTimeout: '60s' } }
  ],
  ...(['traefik', 'traefik-gateway'] as const).flatMap((controller): Case[] => [
    [controller, 'Middleware', 'gateway-allow', { allowFrom }, { ipAllowList: { sourceRange: ['203.0.113.0/24'] } }],
    [controller, 'Middleware', 'gateway-hsts', { hsts }, { headers: { stsSeconds: 600, stsIncludeSubdomains: false } }]
  ]),
  [
    'traefik',
    'TLSOption',
    'gateway-client-ca',
    { clientCa },
    { clientAuth: { secretNames: ['client-ca'], clientAuthType: 'RequireAndVerifyClientCert' } }
  ]
]

describe('an object of a controller', () => {
  it.each(SPECS)('of %s, %s %s, has exactly these fields', (controller, kind, name, changes, spec) => {
    expect(specOf(controller, kind, name, changes)).toEqual(spec)
  })

  it.each(['kong', 'kong-gateway'] as const)('of %s is a plugin, its fields beside the metadata', (controller) => {
    const manifests = manifestsFor(controller, { hsts, allowFrom })
    const plugin = (name: string) => {
      const { plugin: type, config } = find(manifests, 'KongPlugin', name)
      return [type, config]
    }
    expect(plugin('gateway-allow')).toEqual(['ip-restriction', { allow: ['203.0.113.0/24'] }])
    expect(plugin('gateway-hsts')).toEqual(['response-transformer', { add: { headers: [`${header}:max-age=600`] } }])
  })

  it('is there only when it is asked for', () => {
    expect(kindsOf(manifestsFor('envoy-gateway'))).not.toContain('SecurityPolicy')
    expect(kindsOf(manifestsFor('istio-gateway'))).not.toContain('AuthorizationPolicy')
    expect(kindsOf(manifestsFor('f5-nginx'))).not.toContain('Policy')
    expect(kindsOf(manifestsFor('kong'))).not.toContain('KongPlugin')
    const traefik = kindsOf(manifestsFor('traefik'))
    expect(traefik.filter((kind) => ['Middleware', 'TLSOption'].includes(kind))).toEqual([])
  })
})

describe('numbers of NGINX Gateway Fabric', () => {
  it('have four digits at most, rounded up to a larger unit', () => {
    const changes = { budget: { streamMs: 36_000_000 }, gateway: { image: 'x/gateway:1', maxBodyBytes: 50_000_001 } }
    const keys = { keysSecret: { name: 'api-keys', key: 'keys.json' } }
    const manifests = manifestsOf(
      stackThrough(ingressFor('nginx-gateway-fabric'), { ...changes, gateway: { ...changes.gateway, ...keys } })
    )
    expect(find(manifests, 'ProxySettingsPolicy', 'gateway').spec.timeout.read).toBe('601m')
    expect(find(manifests, 'ClientSettingsPolicy', 'gateway').spec.body.maxSize).toBe('48m')
  })
})
