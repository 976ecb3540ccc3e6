// The rules of a region as they stand in the written YAML: what each says, and what it depends on.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { rulesOf } from '../expressions.ts'
import { type Manifest, manifestsOf, model, placement, stackOf, watched } from '../stacks.ts'

const runbook = readFileSync(new URL('../../../docs/alerts.md', import.meta.url), 'utf8')
const rulesWith = (monitoring: object = {}, autoscaling?: { minReplicas: number; maxReplicas: number }) =>
  rulesOf(
    manifestsOf(
      stackOf({
        models: [model({ loadSeconds: 300 })],
        regions: [
          watched({
            monitoring: { ...watched().monitoring, ...monitoring },
            placements: [placement(autoscaling === undefined ? {} : { autoscaling })]
          })
        ]
      })
    )
  )
const rules = rulesWith()
const alerts = rules.filter(({ alert }) => alert !== undefined)
const named = (list: Manifest[], name: string) => {
  const found = list.filter((rule) => rule.alert === name || rule.record === name)
  if (found.length === 0) throw new Error(`there is no rule ${name}`)
  return found
}
const settings = { model: 'org/model', revision: 'a'.repeat(40) }
const exprOf = (list: Manifest[], name: string) => named(list, name)[0].expr

describe('AlertingRules', () => {
  it('has an alert for each thing that somebody must be told of', () => {
    expect([...new Set(alerts.map(({ alert }) => alert))].sort()).toEqual([
      'SluiceAvailabilityBurn',
      'SluiceBufferingSuspected',
      'SluiceCancelledShare',
      'SluiceEngineDown',
      'SluiceEngineFails',
      'SluiceEngineMetricsMissing',
      'SluiceEngineStuck',
      'SluiceFirstTokenBurn',
      'SluiceGatewayDown',
      'SluiceKeysNotReloaded',
      'SluiceKvCacheFull',
      'SluiceNoEngine',
      'SluicePreemptions',
      'SluiceQueueGrowing',
      'SluiceRefusals',
      'SluiceRejectedKeys',
      'SluiceSlowReaders'
    ])
  })

  it('says of each how bad it is, what it is, where, and what to do', () => {
    for (const { alert, labels, annotations, for: since } of alerts) {
      expect(['critical', 'warning'], alert).toContain(labels.severity)
      expect(labels, alert).toMatchObject({ namespace: 'sluice', region: 'eu-west' })
      expect(annotations.summary.length, alert).toBeGreaterThan(20)
      expect(annotations.description.length, alert).toBeGreaterThan(40)
      expect(since, alert).toMatch(/^\d+[smh]$/)
    }
  })

  it('points each to a section of the runbook that is there, and has no section for what is not', () => {
    const sections = [...runbook.matchAll(/^## (Sluice\w+)$/gm)].map(([, name]) => name)
    expect(sections.sort()).toEqual([...new Set(alerts.map(({ alert }) => alert))].sort())
    for (const { alert, annotations } of alerts) {
      expect(new URL(annotations.runbook_url).hash).toBe(`#${alert.toLowerCase()}`)
    }
    const [own] = named(rulesWith({ runbookUrl: 'https://wiki.example.com/sluice' }), 'SluiceNoEngine')
    expect(own.annotations.runbook_url).toBe('https://wiki.example.com/sluice#sluicenoengine')
  })

  it('names in its texts only labels that its expression leaves', () => {
    for (const { alert, expr, annotations } of alerts) {
      const named = [...`${annotations.summary} ${annotations.description}`.matchAll(/\$labels\.(\w+)/g)]
      for (const [, label] of named) {
        const recorded = rules.find(({ record }) => record !== undefined && expr.includes(record))
        const leaves = [expr, recorded?.expr ?? ''].some((text) => new RegExp(`by \\([^)]*\\b${label}\\b`).test(text))
        expect(leaves || (label === 'pod' && expr.startsWith('up{')), `${alert}: ${label}`).toBe(true)
      }
    }
  })

  it('burns both objectives over four pairs of windows, as fast as the objective says', () => {
    const burns = named(rules, 'SluiceAvailabilityBurn')
    expect(
      burns.map(({ labels, expr }) => [labels.window, labels.severity, Number(/> ([\d.]+) and/.exec(expr)?.[1])])
    ).toEqual([
      ['1h', 'critical', 0.072],
      ['6h', 'critical', 0.03],
      ['1d', 'warning', 0.015],
      ['3d', 'warning', 0.005]
    ])
    for (const { expr } of burns) expect(expr.match(/ratio_rate\w+/g)).toHaveLength(2)
    const objectives = { firstTokenShare: 0.98, firstTokenSeconds: 2.5, availability: 0.99 }
    const own = rulesWith({ objectives })
    expect(exprOf(own, 'SluiceFirstTokenBurn')).toContain('> 0.288 and')
    expect(exprOf(own, 'SluiceAvailabilityBurn')).toContain('> 0.144 and')
    expect(exprOf(own, 'model:sluice_first_tokens_late:ratio_rate5m')).toContain('le="2.5"')
    expect(exprOf(rules, 'model:sluice_first_tokens_late:ratio_rate5m')).toContain('le=~"5([.]0)?"')
  })

  it.each([
    ['queuedRequests', 77, 'SluiceQueueGrowing'],
    ['kvUsage', 0.77, 'SluiceKvCacheFull'],
    ['preemptionsPerMinute', 77, 'SluicePreemptions'],
    ['engineFailedShare', 0.77, 'SluiceEngineFails'],
    ['cancelledShare', 0.77, 'SluiceCancelledShare'],
    ['abandonedShare', 0.77, 'SluiceBufferingSuspected'],
    ['slowReaderShare', 0.77, 'SluiceSlowReaders'],
    ['refusedShare', 0.77, 'SluiceRefusals'],
    ['rejectedKeysPerSecond', 77, 'SluiceRejectedKeys']
  ])('takes the threshold %s = %d from the stack', (field, value, alert) => {
    expect(exprOf(rulesWith({ thresholds: { [field]: value } }), alert)).toContain(`> ${value}`)
  })

  it('tells of a pool that may be empty only while somebody waits for it, and longer than an engine starts', () => {
    const [always] = named(rules, 'SluiceNoEngine')
    expect(always).toMatchObject({ for: '300s', expr: expect.not.stringContaining('queued') })
    const [whenAsked] = named(rulesWith({}, { minReplicas: 0, maxReplicas: 2 }), 'SluiceNoEngine')
    expect(whenAsked).toMatchObject({ for: '1500s', expr: expect.stringMatching(/and on \(pool\) .*queued.* > 0$/) })
  })

  it('gives an engine as long to start as its node, its image and its load may take', () => {
    expect(named(rules, 'SluiceEngineStuck')[0].for).toBe('1500s')
  })

  it('gives an engine the time of a download, too, where each node has a cache of its own', () => {
    const cache = { kind: 'host-path', path: '/mnt/models', warmUp: true, downloadSeconds: 3600 } as const
    const autoscaling = { minReplicas: 0, maxReplicas: 2 }
    const regions = [watched({ placements: [placement({ cache, autoscaling })] })]
    const own = rulesOf(manifestsOf(stackOf({ models: [model({ loadSeconds: 300, settings })], regions })))
    expect(named(own, 'SluiceEngineStuck')[0].for).toBe(`${3600 + 1200 + 300}s`)
    expect(named(own, 'SluiceNoEngine')[0].for).toBe(`${3600 + 1200 + 300}s`)
  })

  it.each([
    ['recreate', {}, 640 + 1200 + 300],
    ['in-place', { replicas: 2 }, 300],
    ['surge', {}, 300]
  ] as const)(
    'gives a pool that is rolled out %s, with %j, the time that this leaves it empty',
    (rollout, more, seconds) => {
      const regions = [watched({ placements: [placement({ rollout, ...more })] })]
      const own = rulesOf(manifestsOf(stackOf({ models: [model({ loadSeconds: 300 })], regions })))
      expect(named(own, 'SluiceNoEngine')[0].for).toBe(`${seconds}s`)
    }
  )

  it('lets no pool be empty for the time of a download where its cache has been filled', () => {
    const cache = { kind: 'claim', claimName: 'models', accessMode: 'ReadWriteOnce', warmUp: true } as const
    const forOf = (rollout: 'recreate' | 'surge', accessMode: 'ReadWriteOnce' | 'ReadWriteMany') => {
      const regions = [watched({ placements: [placement({ rollout, cache: { ...cache, accessMode } })] })]
      const own = rulesOf(manifestsOf(stackOf({ models: [model({ loadSeconds: 300, settings })], regions })))
      return named(own, 'SluiceNoEngine')[0].for
    }
    expect(forOf('recreate', 'ReadWriteOnce')).toBe(`${640 + 1200 + 300}s`)
    expect(forOf('surge', 'ReadWriteMany')).toBe('300s')
  })

  it('tells of a share only where there are enough requests for one', () => {
    const own = rulesWith({ thresholds: { minRequests: 77 } })
    for (const name of ['SluiceCancelledShare', 'SluiceBufferingSuspected', 'SluiceSlowReaders', 'SluiceRefusals'])
      expect(exprOf(own, name)).toMatch(
        / and on \(gen_ai_request_model\) sum by \(gen_ai_request_model\) \(increase\(.*\[15m\]\)\) > 77$/
      )
    const burns = named(own, 'SluiceAvailabilityBurn').map(
      ({ expr }) => /increase\(.*\[(\w+)\]\)\) > 77$/.exec(expr)?.[1]
    )
    expect(burns).toEqual(['1h', '6h', undefined, undefined])
  })

  it('records what its alerts read, and records it first', () => {
    const records = rules.map(({ record }) => record)
    for (const { alert, expr } of alerts) {
      for (const [name] of expr.matchAll(/\b(?:pool|model):\w+:\w+/g)) expect(records, alert).toContain(name)
    }
    expect(rules.findIndex(({ record }) => record !== undefined)).toBe(0)
  })
})
