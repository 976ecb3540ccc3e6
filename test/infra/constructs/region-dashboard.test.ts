// The dashboard of a region as Grafana's sidecar finds it.
import { describe, expect, it } from 'vitest'
import { dashboardsOf } from '../expressions.ts'
import { find, type Manifest, manifestsOf, region, stackOf, watched } from '../stacks.ts'

const manifests = manifestsOf(stackOf({ regions: [watched()] }))
const [dashboard] = dashboardsOf(manifests)
const graphs = dashboard.panels.filter((panel: Manifest) => panel.type !== 'row')

describe('RegionDashboard', () => {
  it('is in a ConfigMap that the sidecar looks for, or whoever else the stack names', () => {
    const { metadata, data } = find(manifests, 'ConfigMap', 'sluice-dashboard')
    expect(metadata.labels.grafana_dashboard).toBe('1')
    expect(Object.keys(data)).toEqual(['sluice-eu-west.json'])
    const monitoring = { ...watched().monitoring, dashboardLabels: { dashboards: 'llm' } }
    const own = find(manifestsOf(stackOf({ regions: [watched({ monitoring })] })), 'ConfigMap', 'sluice-dashboard')
    expect(own.metadata.labels.dashboards).toBe('llm')
    expect(own.metadata.labels).not.toHaveProperty('grafana_dashboard')
  })

  it('shows what an operator asks first', () => {
    const titles = graphs.map(({ title }: Manifest) => title).join('; ')
    for (const what of [
      /Time to first token;/,
      /Output tokens a second;/,
      /Time between tokens;/,
      /Requests at engines and waiting;/,
      /KV cache in use;/,
      /Cancelled;/,
      /Errors a second;/,
      /Engines that are reached;/
    ]) {
      expect(titles).toMatch(what)
    }
  })

  it('asks the Prometheus that is chosen in Grafana, each query under a letter of its own', () => {
    expect(dashboard.templating.list.map(({ name }: Manifest) => name)).toEqual(['datasource', 'model'])
    for (const { title, targets, datasource } of graphs) {
      expect(datasource.uid, title).toBe('$' + '{datasource}')
      const letters = targets.map(({ refId }: Manifest) => refId)
      expect(new Set(letters).size, title).toBe(letters.length)
      for (const target of targets) expect(target.datasource, title).toEqual(datasource)
    }
  })

  it('lays its graphs out without one over another', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }: Manifest) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`)
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })

  it('has an address of its own in each region, within what Grafana takes', () => {
    const long = 'a'.repeat(54)
    const regions = [
      watched(),
      watched({ name: `${long}-1`, namespace: 'one' }),
      watched({ name: `${long}-2`, namespace: 'two' })
    ]
    const uids = dashboardsOf(manifestsOf(stackOf({ regions }))).map(({ uid }) => uid)
    expect(new Set(uids).size).toBe(3)
    for (const uid of uids) expect(uid.length).toBeLessThanOrEqual(40)
  })

  it('is the same text at every synth', () => {
    const textOf = () => find(manifestsOf(stackOf({ regions: [watched()] })), 'ConfigMap', 'sluice-dashboard').data
    expect(textOf()).toEqual(textOf())
    expect(manifestsOf(stackOf({ regions: [region()] })).map(({ metadata }) => metadata.name)).not.toContain(
      'sluice-dashboard'
    )
  })
})
