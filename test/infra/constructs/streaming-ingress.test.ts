// What each ingress controller makes of its manifests: no buffering, long enough, TLS, only the API.
import { describe, expect, it } from 'vitest'
import { INGRESS_CONTROLLERS, type IngressController } from '../../../infra/lib/ingress-controllers.ts'
import { synthesize } from '../../../infra/main.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, inTemporaryDirectory, type Manifest, manifestsOf, region, stackOf } from '../stacks.ts'

const STREAM_MS = 1_200_000
const MAX_BODY = 7_654_321
const stackFor = (controller: IngressController) =>
  stackOf({
    regions: [
      region({
        budget: { streamMs: STREAM_MS },
        gateway: { ...region().gateway, maxBodyBytes: MAX_BODY },
        ingress: { ...region().ingress, controller }
      })
    ]
  })
const noticesOf = (controller: IngressController) =>
  inTemporaryDirectory((directory) => synthesize(stackFor(controller), directory).notices)

/** What a controller makes of the manifests: whether it buffers, and its limits. Sources: the profiles' `docs`. */
const EFFECTS: Record<
  IngressController,
  (manifests: Manifest[]) => { buffers: boolean; readSeconds: number; maxBody: number }
> = {
  'ingress-nginx': (manifests) => {
    const get = annotationsOf(manifests, 'nginx.ingress.kubernetes.io/')
    return {
      buffers: get('proxy-buffering') !== 'off' || get('proxy-request-buffering') !== 'off',
      readSeconds: Math.min(Number(get('proxy-read-timeout')), Number(get('proxy-send-timeout'))),
      maxBody: Number(get('proxy-body-size'))
    }
  },
  'f5-nginx': (manifests) => {
    const get = annotationsOf(manifests, 'nginx.org/')
    const seconds = (key: string) => Number(/^(\d+)s$/.exec(get(key))?.[1])
    expect(get('websocket-services')).toBe('gateway')
    return {
      buffers: get('proxy-buffering') !== 'False',
      readSeconds: Math.min(seconds('proxy-read-timeout'), seconds('proxy-send-timeout')),
      maxBody: Number(get('client-max-body-size'))
    }
  },
  traefik: (manifests) => {
    const transport = find(manifests, 'ServersTransport', 'gateway-streaming')
    const service = find(manifests, 'Service', 'gateway')
    expect(service.metadata.annotations).toEqual({
      'traefik.ingress.kubernetes.io/service.serverstransport': 'sluice-gateway-streaming@kubernetescrd'
    })
    const middlewares = find(manifests, 'Ingress', 'gateway').metadata.annotations[
      'traefik.ingress.kubernetes.io/router.middlewares'
    ]
    return {
      buffers: middlewares !== undefined,
      readSeconds: Number.parseInt(transport.spec.forwardingTimeouts.responseHeaderTimeout, 10),
      maxBody: Number.POSITIVE_INFINITY
    }
  }
}

function annotationsOf(manifests: Manifest[], prefix: string): (key: string) => string {
  const { annotations } = find(manifests, 'Ingress', 'gateway').metadata
  return (key) => annotations[prefix + key]
}

describe.each(INGRESS_CONTROLLERS)('StreamingIngress through %s', (controller) => {
  const manifests = manifestsOf(stackFor(controller))
  const ingress = find(manifests, 'Ingress', 'gateway')

  it('does not buffer, and waits for longer than the longest stream', () => {
    const { buffers, readSeconds, maxBody } = EFFECTS[controller](manifests)
    expect(buffers).toBe(false)
    expect(readSeconds * 1000).toBeGreaterThan(STREAM_MS)
    expect(maxBody).toBeGreaterThanOrEqual(MAX_BODY)
  })

  it('routes the API over TLS and nothing else', () => {
    expect(ingress.spec.rules).toHaveLength(1)
    const [{ host, http }] = ingress.spec.rules
    expect(http.paths.map(({ path, pathType }: Manifest) => [path, pathType])).toEqual([['/v1', 'Prefix']])
    expect(ingress.spec.tls).toEqual([{ hosts: [host], secretName: 'llm-tls' }])
    const { name, port } = http.paths[0].backend.service
    expect(find(manifests, 'Service', name).spec.ports[0].port).toBe(port.number)
  })

  it('makes objects that pass strict schema validation', async () => {
    for (const object of manifests) expect(await findSchemaProblems(object), object.kind).toEqual([])
  })

  it('says how long the controller has to let streams run on', () => {
    expect(noticesOf(controller).join('\n')).toContain(`${STREAM_MS / 1000 + 15}s or more`)
  })
})

describe('StreamingIngress', () => {
  it('says that ingress-nginx is retired, and the way out', () => {
    const notices = noticesOf('ingress-nginx').join('\n')
    expect(notices).toMatch(/retired/)
    expect(notices).toMatch(/f5-nginx.*traefik/)
    expect(noticesOf('traefik').join()).not.toMatch(/retired/)
  })

  it('lets cert-manager fill the Secret when an issuer is named, and takes another class', () => {
    const changed = region({
      ingress: { ...region().ingress, tls: { secretName: 'tls', clusterIssuer: 'acme' }, ingressClassName: 'internal' }
    })
    const ingress = find(manifestsOf(stackOf({ regions: [changed] })), 'Ingress', 'gateway')
    expect(ingress.metadata.annotations['cert-manager.io/cluster-issuer']).toBe('acme')
    expect(ingress.spec.ingressClassName).toBe('internal')
  })

  it.each(INGRESS_CONTROLLERS)(
    'lets cert-manager answer a challenge where %s takes one Ingress a host',
    (controller) => {
      const annotations = (tls: { secretName: string; clusterIssuer?: string }) =>
        find(
          manifestsOf(stackOf({ regions: [region({ ingress: { ...region().ingress, controller, tls } })] })),
          'Ingress',
          'gateway'
        ).metadata.annotations
      const inPlace = 'acme.cert-manager.io/http01-edit-in-place'
      expect(annotations({ secretName: 'tls', clusterIssuer: 'acme' })[inPlace]).toBe(
        controller === 'f5-nginx' ? 'true' : undefined
      )
      expect(annotations({ secretName: 'tls' })).not.toHaveProperty([inPlace])
    }
  )
})
