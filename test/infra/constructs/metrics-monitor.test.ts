// What is scraped, as it stands in the written YAML.
import { describe, expect, it } from 'vitest'
import { PATHS } from '../../../gateway/contract.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, type Manifest, manifestsOf, region, stackOf, watched } from '../stacks.ts'

const withMonitoring = (monitoring: object = {}) =>
  manifestsOf(stackOf({ regions: [watched({ monitoring: { ...watched().monitoring, ...monitoring } })] }))
const manifests = withMonitoring()

describe('MetricsMonitor', () => {
  it.each(['gateway', 'engine-llama'])('finds the pods of %s by their labels, at a port that they have', (name) => {
    const { spec } = find(manifests, 'PodMonitor', name)
    const { template } = find(manifests, 'Deployment', name).spec
    const [endpoint] = spec.podMetricsEndpoints
    expect(template.metadata.labels).toMatchObject(spec.selector.matchLabels)
    expect(template.spec.containers[0].ports.map((port: Manifest) => port.name)).toContain(endpoint.port)
    expect(endpoint.path).toBe(PATHS.metrics)
  })

  it('leaves the label `endpoint` to the gateway, which calls an engine so', () => {
    for (const name of ['gateway', 'engine-llama']) {
      const [endpoint] = find(manifests, 'PodMonitor', name).spec.podMetricsEndpoints
      expect(endpoint.relabelings).toEqual([{ action: 'labeldrop', regex: 'endpoint' }])
    }
  })

  it('never lets a scrape last longer than its interval', () => {
    for (const [scrapeSeconds, timeout] of [
      [5, '5s'],
      [60, '10s']
    ] as const) {
      const [endpoint] = find(withMonitoring({ scrapeSeconds }), 'PodMonitor', 'gateway').spec.podMetricsEndpoints
      expect(endpoint).toMatchObject({ interval: `${scrapeSeconds}s`, scrapeTimeout: timeout })
    }
  })

  it('carries the labels by which a Prometheus chooses, and so do the rules', () => {
    const labelled = withMonitoring({ labels: { release: 'kube-prometheus-stack' } })
    for (const [kind, name] of [
      ['PodMonitor', 'gateway'],
      ['PodMonitor', 'engine-llama'],
      ['PrometheusRule', 'sluice']
    ] as const) {
      const object = find(labelled, kind, name)
      expect(object.metadata.labels.release).toBe('kube-prometheus-stack')
    }
  })

  it('passes strict schema validation, as do the rules and the dashboard', async () => {
    const kinds = ['PodMonitor', 'PrometheusRule', 'ConfigMap']
    const objects = manifests.filter(({ kind }) => kinds.includes(kind))
    expect(objects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(kinds))
    for (const object of objects) expect(await findSchemaProblems(object), object.kind).toEqual([])
  })

  it('is made only where the operator is', () => {
    const without = manifestsOf(stackOf({ regions: [region({ cluster: { apis: ['keda'] } })] }))
    const custom = without.filter(({ apiVersion }) => apiVersion.startsWith('monitoring.coreos.com'))
    expect(custom).toEqual([])
    expect(without.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name)).toEqual(['gateway'])
  })
})
