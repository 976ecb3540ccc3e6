// What each controller of Ingresses reads, annotation by annotation, at the Ingress and at the Service.
import { describe, expect, it } from 'vitest'
import { synthesize } from '../../../../infra/main.ts'
import { find, inTemporaryDirectory, manifestsOf } from '../../stacks.ts'
import { type IngressInput, ingressFor, stackThrough } from '../../ways-in.ts'

type Controller = IngressInput['controller']

function annotationsOf(controller: Controller, changes: Partial<IngressInput> = {}, kind = 'Ingress') {
  const manifests = manifestsOf(stackThrough(ingressFor(controller, changes)))
  return find(manifests, kind, 'gateway').metadata.annotations ?? {}
}

const prefixed = (prefix: string, entries: Record<string, string>) =>
  Object.fromEntries(Object.entries(entries).map(([key, value]) => [prefix + key, value]))

/** A stream of 1200 s, a body of 7654321 bytes. */
const ALWAYS: [controller: Controller, ingress: object, service?: object][] = [
  [
    'agic',
    prefixed('appgw.ingress.kubernetes.io/', {
      'request-timeout': '1215',
      'connection-draining': 'true',
      'connection-draining-timeout': '1215',
      'health-probe-path': '/readyz',
      'ssl-redirect': 'true'
    })
  ],
  [
    'alb',
    prefixed('alb.ingress.kubernetes.io/', {
      'target-type': 'ip',
      'listen-ports': '[{"HTTP": 80}, {"HTTPS": 443}]',
      'ssl-redirect': '443',
      'load-balancer-attributes': 'idle_timeout.timeout_seconds=1215',
      'target-group-attributes': 'deregistration_delay.timeout_seconds=1215',
      'healthcheck-path': '/readyz',
      'success-codes': '200',
      'certificate-arn': 'arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-1111-2222-3333-444455556666'
    })
  ],
  ['cilium', prefixed('ingress.cilium.io/', { 'request-timeout': '1215s', 'force-https': 'enabled' })],
  [
    'f5-nginx',
    prefixed('nginx.org/', {
      'proxy-buffering': 'False',
      'client-max-body-size': '7654321',
      'proxy-read-timeout': '1215s',
      'proxy-send-timeout': '1215s',
      'websocket-services': 'gateway'
    })
  ],
  [
    'gke',
    { 'kubernetes.io/ingress.class': 'gce', 'networking.gke.io/v1beta1.FrontendConfig': 'gateway' },
    prefixed('cloud.google.com/', { 'backend-config': '{"default":"gateway"}', neg: '{"ingress":true}' })
  ],
  [
    'haproxy-ingress',
    prefixed('haproxy-ingress.github.io/', {
      'timeout-server': '1215s',
      'timeout-tunnel': '1215s',
      'proxy-body-size': '7654321',
      'config-backend': 'option http-no-delay',
      'ssl-redirect': 'true'
    })
  ],
  [
    'haproxytech',
    prefixed('haproxy.org/', {
      'timeout-server': '1215s',
      'backend-config-snippet': 'option http-no-delay',
      'ssl-redirect': 'true',
      'ssl-redirect-port': '443'
    })
  ],
  [
    'ingress-nginx',
    prefixed('nginx.ingress.kubernetes.io/', {
      'proxy-buffering': 'off',
      'proxy-request-buffering': 'off',
      'proxy-http-version': '1.1',
      'proxy-body-size': '7654321',
      'proxy-read-timeout': '1215',
      'proxy-send-timeout': '1215',
      'proxy-next-upstream': 'off',
      'ssl-redirect': 'true'
    })
  ],
  [
    'kong',
    prefixed('konghq.com/', {
      'response-buffering': 'false',
      'request-buffering': 'false',
      protocols: 'https',
      'https-redirect-status-code': '308'
    }),
    prefixed('konghq.com/', {
      'connect-timeout': '5000',
      'read-timeout': '1215000',
      'write-timeout': '1215000',
      retries: '0'
    })
  ],
  [
    'traefik',
    prefixed('traefik.ingress.kubernetes.io/', { 'router.entrypoints': 'websecure', 'router.tls': 'true' }),
    prefixed('traefik.ingress.kubernetes.io/', {
      'service.serverstransport': 'sluice-gateway-streaming@kubernetescrd'
    })
  ]
]

const hsts = { maxAgeSeconds: 600, includeSubDomains: true }
const allowFrom = ['203.0.113.0/24', '2001:db8::/32']
const clientCa = { name: 'client-ca', key: 'ca.crt' } as const

/** What is asked for, and what it adds to the Ingress. */
const ON_REQUEST: [controller: Controller, changes: Partial<IngressInput>, added: object][] = [
  [
    'alb',
    { hsts, allowFrom },
    prefixed('alb.ingress.kubernetes.io/', {
      'listener-attributes.HTTPS-443':
        'routing.http.response.strict_transport_security.header_value=max-age=600;includeSubDomains',
      'inbound-cidrs': '203.0.113.0/24,2001:db8::/32'
    })
  ],
  [
    'f5-nginx',
    { hsts, allowFrom, clientCa },
    prefixed('nginx.org/', {
      hsts: 'True',
      'hsts-max-age': '600',
      'hsts-include-subdomains': 'True',
      policies: 'gateway-allow,gateway-client-ca'
    })
  ],
  [
    'haproxy-ingress',
    { hsts, allowFrom, clientCa },
    prefixed('haproxy-ingress.github.io/', {
      hsts: 'true',
      'hsts-max-age': '600',
      'hsts-include-subdomains': 'true',
      'allowlist-source-range': '203.0.113.0/24,2001:db8::/32',
      'auth-tls-secret': 'client-ca',
      'auth-tls-verify-client': 'on'
    })
  ],
  [
    'haproxytech',
    { hsts, allowFrom },
    prefixed('haproxy.org/', {
      'response-set-header': 'Strict-Transport-Security "max-age=600; includeSubDomains"',
      'allow-list': '203.0.113.0/24,2001:db8::/32'
    })
  ],
  [
    'ingress-nginx',
    { allowFrom, clientCa },
    prefixed('nginx.ingress.kubernetes.io/', {
      'whitelist-source-range': '203.0.113.0/24,2001:db8::/32',
      'auth-tls-secret': 'sluice/client-ca',
      'auth-tls-verify-client': 'on'
    })
  ],
  ['kong', { hsts, allowFrom }, { 'konghq.com/plugins': 'gateway-allow,gateway-hsts' }],
  [
    'traefik',
    { hsts, allowFrom, clientCa },
    prefixed('traefik.ingress.kubernetes.io/', {
      'router.middlewares': 'sluice-gateway-allow@kubernetescrd,sluice-gateway-hsts@kubernetescrd',
      'router.tls.options': 'sluice-gateway-client-ca@kubernetescrd'
    })
  ]
]

describe('the annotations of an Ingress', () => {
  it.each(ALWAYS)('are for %s exactly these, and at the Service these', (controller, ingress, service = {}) => {
    expect(annotationsOf(controller)).toEqual(ingress)
    expect(annotationsOf(controller, {}, 'Service')).toEqual(service)
  })

  it.each(ON_REQUEST)('gain for %s what is asked for, and nothing else', (controller, changes, added) => {
    expect(annotationsOf(controller, changes)).toEqual({ ...annotationsOf(controller), ...added })
  })

  it('say a year of HSTS, without subdomains, unless a stack says otherwise', () => {
    expect(annotationsOf('haproxytech', { hsts: {} })['haproxy.org/response-set-header']).toBe(
      'Strict-Transport-Security "max-age=31536000"'
    )
  })

  it('name a class for GKE in the annotation that its controller reads, and in no field', () => {
    const manifests = manifestsOf(stackThrough(ingressFor('gke', { ingressClassName: 'gce-internal' })))
    const { metadata, spec } = find(manifests, 'Ingress', 'gateway')
    expect(metadata.annotations['kubernetes.io/ingress.class']).toBe('gce-internal')
    expect(spec.ingressClassName).toBeUndefined()
  })

  it('let AWS hold a rollout until the new target is healthy, by a label of the namespace that others do not have', () => {
    const labelOf = (controller: Controller) =>
      find(manifestsOf(stackThrough(ingressFor(controller))), 'Namespace', 'sluice').metadata.labels[
        'elbv2.k8s.aws/pod-readiness-gate-inject'
      ]
    expect([labelOf('alb'), labelOf('gke')]).toEqual(['enabled', undefined])
  })

  it("put a shared host on the same load balancer of AWS, and don't group a single one", () => {
    const sharedHost = {
      host: 'llm.example.com',
      tls: { certificateArn: 'arn:aws:acm:eu-west-1:123456789012:certificate/b' },
      routing: { policy: 'weight', weight: 1 }
    } as const
    const group = 'alb.ingress.kubernetes.io/group.name'
    expect(annotationsOf('alb')[group]).toBeUndefined()
    expect(annotationsOf('alb', { sharedHost, dns: {} })[group]).toBe('sluice')
  })
})

describe('a limit of a load balancer', () => {
  const longBudget = { budget: { streamMs: 7_200_000 } }

  it.each(['alb', 'agic', 'gke', 'gke-gateway'] as const)('of %s is kept to, and said', (controller) => {
    const stack = stackThrough(ingressFor(controller), longBudget)
    const manifests = manifestsOf(stack)
    expect(JSON.stringify(manifests)).toMatch(
      /"drainingTimeoutSec":3600|delay\.timeout_seconds=3600|draining-timeout":"3600/
    )
    const notices = inTemporaryDirectory((directory) => synthesize(stack, directory).notices).join('\n')
    expect(notices).toMatch(/3600s at most, and the time budget asks for 7215s/)
  })
})

it('says what Traefik needs beside the kinds that a region uses', () => {
  const stack = stackThrough(ingressFor('traefik'))
  const notices = inTemporaryDirectory((directory) => synthesize(stack, directory).notices).join('\n')
  expect(notices).toContain('install every CRD of its chart')
})
