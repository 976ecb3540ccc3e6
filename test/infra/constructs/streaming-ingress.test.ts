// What every controller makes of its manifests: no buffering, long enough, TLS, only the API.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../../gateway/contract.ts'
import { CONTROLLER_TRAITS, INGRESS_CONTROLLERS } from '../../../infra/lib/ingress-controllers.ts'
import { EFFECTS } from '../controller-effects.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, type Manifest, manifestsOf, noticesOf, podOf, region } from '../stacks.ts'
import { DRAIN_SECONDS, everythingFor, ingressFor, MAX_BODY, STREAM_MS, stackFor, stackThrough } from '../ways-in.ts'

const docs = readFileSync(join(import.meta.dirname, '../../../docs/ingress.md'), 'utf8')

interface Routed {
  readonly host: string
  readonly path: string
  readonly service: string
  readonly port: number
}

/** What is routed where, by whichever kind does it. */
function routedBy(manifests: readonly Manifest[]): Routed[] {
  return manifests.flatMap(({ kind, spec }) => {
    if (kind === 'Ingress') {
      return spec.rules.flatMap(({ host, http }: Manifest) =>
        http.paths.map(({ path, backend: { service } }: Manifest) => ({
          host,
          path,
          service: service.name,
          port: service.port.number
        }))
      )
    }
    if (kind === 'HTTPRoute') {
      const [{ matches, backendRefs }] = spec.rules
      return matches.map(({ path }: Manifest) => ({
        host: spec.hostnames[0],
        path: path.value,
        service: backendRefs[0].name,
        port: backendRefs[0].port
      }))
    }
    if (kind === 'HTTPProxy') {
      return spec.routes.map(({ conditions: [{ prefix, exact }], services: [{ name, port }] }: Manifest) => ({
        host: spec.virtualhost.fqdn,
        path: prefix ?? exact,
        service: name,
        port
      }))
    }
    if (kind === 'VirtualService') {
      const [{ match, route }] = spec.http
      const { host, port } = route[0].destination
      return match.map(({ uri: { prefix, exact } }: Manifest) => ({
        host: spec.hosts[0],
        path: prefix ?? exact,
        service: host,
        port: port.number
      }))
    }
    return []
  })
}

/** The Secrets that end TLS, by host. */
function certificatesOf(manifests: readonly Manifest[]): Record<string, string> {
  return Object.fromEntries(
    manifests.flatMap(({ kind, spec }) => {
      if (kind === 'Ingress') return spec.tls.map(({ hosts, secretName }: Manifest) => [hosts[0], secretName])
      if (kind === 'HTTPProxy') return [[spec.virtualhost.fqdn, spec.virtualhost.tls.secretName]]
      if (kind === 'Gateway' && spec.servers) {
        return spec.servers.map(({ hosts, tls }: Manifest) => [hosts[0], tls.credentialName])
      }
      if (kind !== 'Gateway') return []
      return spec.listeners.map(({ hostname, tls }: Manifest) => [hostname, tls.certificateRefs[0].name])
    })
  )
}

describe.each(INGRESS_CONTROLLERS)('StreamingIngress through %s', (controller) => {
  const manifests = manifestsOf(stackFor(controller))
  const notices = noticesOf(stackFor(controller)).join('\n')
  const effects = EFFECTS[controller](manifests)

  it('does not buffer, or says that somebody else has to see to it', () => {
    if (effects.buffers === 'outside') expect(notices).toMatch(/buffers? (no|responses until)/)
    else expect(effects.buffers).toBe(false)
  })

  it('waits for longer than the longest stream, takes the largest body and lets WebSockets pass', () => {
    expect(effects.readSeconds * 1000).toBeGreaterThan(STREAM_MS)
    expect(effects.maxBody).toBeGreaterThanOrEqual(MAX_BODY)
    expect(effects.webSocket).toBe(true)
  })

  it('cuts no WebSocket that the gateway keeps, nor the last stream on it', () => {
    const { websocket } = configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json']))
    const { webSocketSeconds = Number.POSITIVE_INFINITY } = effects
    expect(webSocketSeconds * 1000).toBeGreaterThan(websocket.maxConnectionMs + STREAM_MS)
  })

  it("drains for as long as a stream may last and within the gateway's grace, or says who has to", () => {
    const { drainSeconds } = effects
    if (drainSeconds === undefined) {
      expect(notices).toMatch(new RegExp(`${DRAIN_SECONDS}s or more|restarts its Envoy and cuts`))
      return
    }
    expect(drainSeconds * 1000).toBeGreaterThanOrEqual(STREAM_MS)
    expect(drainSeconds).toBeLessThan(podOf(manifests, 'gateway').terminationGracePeriodSeconds)
  })

  it('never sends a request on a connection that the gateway is about to close', () => {
    const { keepAliveMs = 75_000 } = JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json'])
    expect(keepAliveMs).toBeGreaterThan((effects.keepsSeconds ?? 60) * 1000)
  })

  it('routes the API over TLS and nothing else', () => {
    const port = find(manifests, 'Service', 'gateway').spec.ports[0].port
    expect(routedBy(manifests)).toEqual([{ host: 'llm.eu-west.example.com', path: '/v1', service: 'gateway', port }])
    const secret = CONTROLLER_TRAITS[controller].certificate === 'arn' ? undefined : 'llm-tls'
    expect(certificatesOf(manifests)).toEqual({ 'llm.eu-west.example.com': secret })
  })

  it('routes the console, too, where it is shown: its page, which is no prefix of /metrics, and its files', async () => {
    const gateway = { ...region().gateway, console: true }
    const shown = manifestsOf(stackThrough(ingressFor(controller), { gateway }))
    expect(routedBy(shown).map(({ path }) => path)).toEqual(['/v1', '/console', '/'])
    const routing = shown.filter(({ kind }) => ['Ingress', 'HTTPRoute', 'HTTPProxy', 'VirtualService'].includes(kind))
    for (const object of routing) expect(await findSchemaProblems(object)).toEqual([])
    expect(JSON.stringify(routing)).toMatch(/"path":"\/","pathType":"Exact"|"type":"Exact","value":"\/"|"exact":"\/"/)
    expect(JSON.parse(find(shown, 'ConfigMap', 'gateway').data['config.json']).console).toBe(true)
  })

  it('makes objects that pass strict schema validation, with the least and with everything', async () => {
    for (const changes of [{}, everythingFor(controller)]) {
      for (const object of manifestsOf(stackFor(controller, changes))) {
        expect(await findSchemaProblems(object), `${object.kind} ${object.metadata.name}`).toEqual([])
      }
    }
  })

  it('routes a host that regions share beside its own, with a record of its own', () => {
    const shared = manifestsOf(stackFor(controller, everythingFor(controller)))
    expect(routedBy(shared).map(({ host, path, service }) => [host, path, service])).toEqual([
      ['llm.eu-west.example.com', '/v1', 'gateway'],
      ['llm.example.com', '/v1', 'gateway']
    ])
    if (CONTROLLER_TRAITS[controller].certificate === 'secret') {
      expect(certificatesOf(shared)['llm.example.com']).toBe('shared-tls')
    }
    const identifier = (name: string) =>
      shared
        .filter(({ kind }) => ['Ingress', 'HTTPRoute', 'HTTPProxy', 'VirtualService'].includes(kind))
        .filter(({ metadata }) => metadata.name === name)
        .map(({ metadata }) => metadata.annotations['external-dns.alpha.kubernetes.io/set-identifier'])
    expect(identifier('gateway-shared')).toEqual(['eu-west'])
    expect(identifier('gateway')).toEqual([undefined])
  })

  it('is a row of docs/ingress.md, in both tables', () => {
    const rows = docs
      .split('\n')
      .filter((line) => line.startsWith('| `') && line.split('|')[1]?.includes(`\`${controller}\``))
    expect(rows).toHaveLength(2)
  })

  it('changes none of its objects for a host that regions share, and names each object once', () => {
    const alone = manifestsOf(stackFor(controller)).map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    const shared = manifestsOf(stackFor(controller, everythingFor(controller))).map(
      ({ kind, metadata }) => `${kind} ${metadata.name}`
    )
    expect(new Set(shared).size).toBe(shared.length)
    expect(shared).toEqual(expect.arrayContaining(alone))
  })
})

describe('StreamingIngress', () => {
  const inPlace = 'acme.cert-manager.io/http01-edit-in-place'

  it('lets cert-manager fill the Secret when an issuer is named, and takes another class', () => {
    const tls = { secretName: 'tls', clusterIssuer: 'acme' }
    const changed = manifestsOf(stackFor('f5-nginx', { tls, ingressClassName: 'internal' }))
    const ingress = find(changed, 'Ingress', 'gateway')
    expect(ingress.metadata.annotations['cert-manager.io/cluster-issuer']).toBe('acme')
    expect(ingress.spec.ingressClassName).toBe('internal')
  })

  it('makes the Certificate itself where there is no Ingress that cert-manager could read', () => {
    const tls = { secretName: 'tls', clusterIssuer: 'acme' }
    for (const controller of ['contour', 'envoy-gateway'] as const) {
      expect(find(manifestsOf(stackFor(controller, { tls })), 'Certificate', 'gateway').spec).toEqual({
        secretName: 'tls',
        dnsNames: ['llm.eu-west.example.com'],
        issuerRef: { group: 'cert-manager.io', kind: 'ClusterIssuer', name: 'acme' }
      })
    }
    const kinds = manifestsOf(stackFor('f5-nginx', { tls })).map(({ kind }) => kind)
    expect(kinds).not.toContain('Certificate')
  })

  it.each(['f5-nginx', 'gke', 'traefik', 'ingress-nginx'] as const)(
    'lets cert-manager answer a challenge in the Ingress itself where %s takes one a host',
    (controller) => {
      const annotations = (tls: { secretName: string; clusterIssuer?: string }) =>
        find(manifestsOf(stackFor(controller, { tls })), 'Ingress', 'gateway').metadata.annotations ?? {}
      expect(annotations({ secretName: 'tls', clusterIssuer: 'acme' })[inPlace]).toBe(
        ['f5-nginx', 'gke'].includes(controller) ? 'true' : undefined
      )
      expect(annotations({ secretName: 'tls' })).not.toHaveProperty([inPlace])
    }
  )

  it("carries the operator's annotations to each host, and refuses those that undo the profile's", () => {
    const scheme = { 'alb.ingress.kubernetes.io/scheme': 'internet-facing' }
    const { metadata } = find(manifestsOf(stackFor('alb', { annotations: scheme })), 'Ingress', 'gateway')
    expect(metadata.annotations).toMatchObject(scheme)
    for (const [controller, key, value] of [
      ['alb', 'alb.ingress.kubernetes.io/target-type', 'instance'],
      ['kong-gateway', 'konghq.com/response-buffering', 'true']
    ] as const) {
      expect(() => manifestsOf(stackFor(controller, { annotations: { [key]: value } }))).toThrow(
        `Sluice sets ${key} to ${{ instance: 'ip', true: 'false' }[value]}, so annotations can't say ${value}`
      )
    }
  })

  it('has its main object at the id Resource, so an operator can patch it', () => {
    for (const controller of ['kong', 'istio', 'gke-gateway'] as const) {
      const [first] = manifestsOf(stackFor(controller)).filter(({ kind }) => ['Ingress', 'Gateway'].includes(kind))
      expect(first?.metadata.name).toBe('gateway')
    }
  })
})
