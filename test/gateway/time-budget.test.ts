// The time budget: every inconsistency is refused at its field, and everything derived fits together.
import { describe, expect, it } from 'vitest'
import { deriveTimeBudget, type TimeBudgetInput, timeBudgetSchema } from '../../gateway/time-budget.ts'
import { seeded } from '../helpers/fakes.ts'

function problemsOf(input: TimeBudgetInput): string[] {
  return timeBudgetSchema.safeParse(input).error?.issues.map(({ path }) => path.join('.')) ?? []
}

describe('a budget', () => {
  it('is consistent by default', () => {
    expect(problemsOf({})).toEqual([])
  })

  it.each<[TimeBudgetInput, string[]]>([
    [{ connectMs: 120_001 }, ['connectMs']],
    [{ firstTokenMs: 600_001 }, ['firstTokenMs']],
    [{ idleMs: 600_001 }, ['idleMs']],
    [{ stalledMs: 600_001 }, ['stalledMs']],
    [{ drainMs: 600_001 }, ['drainMs']],
    [{ heartbeatMs: 30_001 }, ['heartbeatMs']],
    [{ outerIdleMs: 19_999 }, ['heartbeatMs']],
    [
      { streamMs: 10_000, firstTokenMs: 10_001, idleMs: 10_001, stalledMs: 10_001 },
      ['firstTokenMs', 'idleMs', 'stalledMs']
    ],
    [{ connectMs: 0 }, ['connectMs']],
    [{ streamMs: 1.5 }, ['streamMs']],
    [{ propagationMs: -1 }, ['propagationMs']],
    [{ drainMs: 0 }, ['drainMs']],
    [{ idle: 5 } as TimeBudgetInput, ['']]
  ])('%j is refused at %j', (input, paths) => {
    expect(problemsOf(input)).toEqual(paths)
  })

  it.each<TimeBudgetInput>([
    { connectMs: 120_000 },
    { firstTokenMs: 600_000 },
    { drainMs: 600_000 },
    { heartbeatMs: 30_000 },
    { propagationMs: 0 }
  ])('%j is at the border and accepted', (input) => {
    expect(problemsOf(input)).toEqual([])
  })

  it('says both numbers and why', () => {
    const message = timeBudgetSchema.safeParse({ heartbeatMs: 40_000 }).error?.issues[0]?.message
    expect(message).toBe(
      'heartbeatMs (40000) must be at most half of outerIdleMs (60000): one late beat must not cut a stream'
    )
  })

  it('drains as long as a stream may take where nothing is said', () => {
    expect(timeBudgetSchema.parse({ streamMs: 900_000 }).drainMs).toBe(900_000)
  })

  it('that was checked may be checked again', () => {
    const checked = timeBudgetSchema.parse({ streamMs: 900_000 })
    expect(timeBudgetSchema.parse(checked)).toEqual(checked)
  })
})

describe('what is derived', () => {
  it('has the numbers of the default budget', () => {
    expect(deriveTimeBudget(timeBudgetSchema.parse({}))).toEqual({
      gateway: { propagationMs: 15_000, drainMs: 600_000, poolIdleMs: 30_000, terminationGraceSeconds: 620 },
      engine: {
        preStopSeconds: 15,
        shutdownTimeoutSeconds: 600,
        terminationGraceSeconds: 640,
        keepAliveSeconds: 60
      },
      ingress: { readTimeoutSeconds: 615, drainSeconds: 615 }
    })
  })

  const random = seeded(2)
  const budgets = Array.from({ length: 200 }, () => {
    const streamMs = 1_000 + Math.floor(random() * 3_000_000)
    const within = () => 1 + Math.floor(random() * streamMs)
    const firstTokenMs = within()
    return timeBudgetSchema.parse({
      streamMs,
      firstTokenMs,
      connectMs: Math.min(2_000, firstTokenMs),
      idleMs: within(),
      stalledMs: within(),
      drainMs: within(),
      propagationMs: Math.floor(random() * 60_000)
    })
  })

  it.each<[string, (budget: (typeof budgets)[number], derived: ReturnType<typeof deriveTimeBudget>) => boolean]>([
    [
      'lets an engine outlive its preStop and its shutdown timeout',
      (_budget, { engine }) => engine.terminationGraceSeconds > engine.preStopSeconds + engine.shutdownTimeoutSeconds
    ],
    [
      'lets a gateway outlive its propagation and its drain, and the last errors',
      ({ propagationMs, drainMs }, { gateway }) =>
        gateway.terminationGraceSeconds * 1000 >= propagationMs + drainMs + 1_000
    ],
    [
      'keeps an engine until no gateway sends to it any more',
      ({ propagationMs }, { engine }) => engine.preStopSeconds * 1000 >= propagationMs
    ],
    [
      'lets an engine run as long as a gateway lets streams run',
      ({ drainMs }, { engine }) => engine.shutdownTimeoutSeconds * 1000 >= drainMs
    ],
    [
      'lets a gateway close idle connections before an engine does',
      (_budget, { gateway, engine }) => engine.keepAliveSeconds * 1000 > gateway.poolIdleMs
    ],
    [
      'lets a proxy wait for a whole answer',
      ({ streamMs }, { ingress }) => ingress.readTimeoutSeconds * 1000 > streamMs
    ],
    [
      'lets a proxy drain as long as a gateway',
      ({ propagationMs, drainMs }, { ingress }) => ingress.drainSeconds * 1000 >= propagationMs + drainMs
    ],
    [
      'is in whole seconds where Kubernetes wants them',
      (_budget, { gateway, engine, ingress }) =>
        [gateway.terminationGraceSeconds, ...Object.values(engine), ...Object.values(ingress)].every(Number.isInteger)
    ]
  ])('%s, whatever the budget', (_what, holds) => {
    expect(budgets.filter((budget) => !holds(budget, deriveTimeBudget(budget)))).toEqual([])
  })
})
