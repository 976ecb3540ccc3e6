// The gateway as it stands in the written YAML, held against the contract that its pods read.
import { describe, expect, it } from 'vitest'
import { configSchema, deriveTimeBudget, FILES, PATHS, timeBudgetSchema } from '../../../gateway/contract.ts'
import { find, type Manifest, manifestsOf, model, placement, podOf, region, stackOf } from '../stacks.ts'

const gateway = region().gateway
const configOf = (manifests: Manifest[]) =>
  configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json']))
const checksumOf = (manifests: Manifest[]) =>
  find(manifests, 'Deployment', 'gateway').spec.template.metadata.annotations['checksum/config']

describe('Gateway', () => {
  it('has a configuration that the gateway itself accepts, with the budget that the pods are timed by', () => {
    const budget = { streamMs: 90_000, firstTokenMs: 30_000 }
    const config = configOf(manifestsOf(stackOf({ regions: [region({ budget })] })))
    expect(config.region).toBe('eu-west')
    expect(config.budget).toEqual(timeBudgetSchema.parse(budget))
  })

  it('points each pool at the Service of its engines, by its complete name and port', () => {
    const models = [model({ settings: { ...model().settings, maxNumSeqs: 77 }, restricted: true })]
    const manifests = manifestsOf(stackOf({ models }))
    const service = find(manifests, 'Service', 'engine-llama')
    const [pool] = configOf(manifests).pools
    expect(pool).toMatchObject({
      name: 'llama',
      models: [{ name: 'llama-3.1-8b-instruct', maxOutputTokens: 1024, restricted: true }],
      engines: {
        dns: {
          host: `${service.metadata.name}.${service.metadata.namespace}.svc.cluster.local`,
          port: service.spec.ports[0].port
        }
      },
      maxActivePerEngine: 77
    })
    const { args, ports } = podOf(manifests, 'engine-llama').containers[0]
    expect(args).toContain('--max-num-seqs=77')
    expect(args).toContain(`--port=${ports[0].containerPort}`)
  })

  it('stays ready for its other models while the engines of one are gone', () => {
    const waits = (manifests: Manifest[]) => configOf(manifests).pools.map(({ waitForEngine }) => waitForEngine)
    const models = [model(), model({ name: 'other', servedName: 'other' })]
    const both = region({ placements: [placement(), placement({ model: 'other' })] })
    expect(waits(manifestsOf(stackOf({ models, regions: [both] })))).toEqual([true, true])
    expect(waits(manifestsOf(stackOf()))).toEqual([false])
  })

  it('has the bounds of WebSockets that the stack names, and the gateway’s own otherwise', () => {
    const bounded = region({ gateway: { ...gateway, websocket: { maxStreams: 3 } } })
    expect(configOf(manifestsOf(stackOf({ regions: [bounded] }))).websocket).toMatchObject({ maxStreams: 3 })
    expect(configOf(manifestsOf(stackOf())).websocket.maxStreams).toBe(16)
  })

  it('is not called stuck while the engine is loaded without which it is not ready', () => {
    const deadline = (manifests: Manifest[], name: string) =>
      find(manifests, 'Deployment', name).spec.progressDeadlineSeconds
    const one = manifestsOf(stackOf({ models: [model({ loadSeconds: 3000 })] }))
    expect(deadline(one, 'gateway')).toBeGreaterThan(3000 + 600)
    const models = [model({ loadSeconds: 3000 }), model({ name: 'other', servedName: 'other' })]
    const both = region({ placements: [placement(), placement({ model: 'other' })] })
    expect(deadline(manifestsOf(stackOf({ models, regions: [both] })), 'gateway')).toBe(600)
  })

  it('mounts every file that its configuration names, from Secrets by reference', () => {
    const engineKeySecret = { name: 'engine-key', key: 'token' }
    const manifests = manifestsOf(stackOf({ models: [model({ engineKeySecret })] }))
    const { containers, volumes } = podOf(manifests, 'gateway')
    const [{ mountPath, readOnly }] = containers[0].volumeMounts
    const mounted = volumes[0].projected.sources.map((source: Manifest) => {
      const { name, items } = source.secret ?? source.configMap
      return [`${mountPath}/${items[0].path}`, name, items[0].key]
    })
    expect(readOnly).toBe(true)
    expect(mounted).toEqual([
      [FILES.config, 'gateway', 'config.json'],
      [FILES.keys, 'api-keys', 'keys.json'],
      [configOf(manifests).pools[0]?.engineKeyFile, 'engine-key', 'token']
    ])
  })

  it('rolls when its configuration changes, and only then', () => {
    const base = checksumOf(manifestsOf(stackOf()))
    expect(base).toMatch(/^[0-9a-f]{64}$/)
    expect(checksumOf(manifestsOf(stackOf()))).toBe(base)
    const larger = region({ gateway: { ...gateway, maxBodyBytes: 20_000_000 } })
    expect(checksumOf(manifestsOf(stackOf({ regions: [larger] })))).not.toBe(base)
    const more = region({ gateway: { ...gateway, replicas: 5 } })
    expect(checksumOf(manifestsOf(stackOf({ regions: [more] })))).toBe(base)
  })

  it('keeps full capacity in a rollout and one pod at a time in a drain of nodes', () => {
    const manifests = manifestsOf(stackOf())
    const { spec } = find(manifests, 'Deployment', 'gateway')
    expect(spec.replicas).toBe(2)
    expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
    expect(find(manifests, 'PodDisruptionBudget', 'gateway').spec.maxUnavailable).toBe(1)
  })

  it('drains by itself within its grace period, without a preStop', () => {
    const pod = podOf(manifestsOf(stackOf()), 'gateway')
    const { propagationMs, drainMs, terminationGraceSeconds } = deriveTimeBudget(timeBudgetSchema.parse({})).gateway
    expect(pod.terminationGracePeriodSeconds).toBe(terminationGraceSeconds)
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(propagationMs + drainMs)
    expect(pod.containers[0].lifecycle).toBeUndefined()
  })

  it('is probed on its own paths, with a root that nobody writes', () => {
    const [container] = podOf(manifestsOf(stackOf()), 'gateway').containers
    expect(container.livenessProbe.httpGet.path).toBe(PATHS.health)
    expect(container.readinessProbe.httpGet.path).toBe(PATHS.ready)
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true)
  })

  it('says its version in a label that Kubernetes takes, whatever the tag', () => {
    const { labels } = find(
      manifestsOf(stackOf({ regions: [region({ gateway: { ...gateway, image: 'g:_rc.1-' } })] })),
      'Deployment',
      'gateway'
    ).metadata
    expect(labels['app.kubernetes.io/version']).toBe('rc.1')
  })

  it('keeps its selector when the version changes', () => {
    const selectorOf = (image: string) =>
      find(manifestsOf(stackOf({ regions: [region({ gateway: { ...gateway, image } })] })), 'Deployment', 'gateway')
        .spec.selector
    expect(selectorOf('ghcr.io/sluice/gateway:0.2.0')).toEqual(selectorOf(gateway.image))
  })
})
