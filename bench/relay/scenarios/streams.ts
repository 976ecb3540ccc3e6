// Many streams at once: paced, as engines generate; or as fast as they go.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, measure, openStreams, type Window } from '../lab.ts'
import type { Target } from '../subjects/subject.ts'
import { BUSYNESS, busyness, type Column, type Lengths, type Sample, type Scenario, scaled } from './scenario.ts'

const CPU: Column = { key: 'cpuUsPerToken', title: 'CPU us/token', digits: 2, against: 'ratio' }
const DELIVERED: Column = { key: 'deliveredPercent', title: 'delivered %', digits: 2 }
const DELAYS: readonly Column[] = [
  { key: 'delayP50Ms', title: 'delay p50 ms', digits: 3 },
  { key: 'delayP99Ms', title: 'delay p99 ms', digits: 2 }
]
const ADDED: readonly Column[] = DELAYS.map((column) => ({ ...column, against: 'added' }))

const perToken = ({ cpuUsPerSecond, tokens, seconds }: Window): number | undefined =>
  cpuUsPerSecond === undefined ? undefined : (cpuUsPerSecond * seconds) / tokens

interface Paced {
  readonly name: string
  readonly streams: number
  readonly rate: number
  readonly columns: readonly Column[]
  readonly peersInQuick?: boolean
}

async function runPaced({ streams, rate }: Paced, lengths: Lengths, target: Target, lab: Lab): Promise<Sample> {
  const count = scaled(streams, target)
  await openStreams(lab, { count, mode: 'pace', rate, log: false })
  await sleep(lengths.settleMs)
  const window = await measure(target, lab, lengths.windowS)
  return {
    streams: count,
    cpuUsPerToken: perToken(window),
    deliveredPercent: (window.tokens / (window.seconds * count * rate)) * 100,
    delayP50Ms: window.delayP50Ms ?? undefined,
    delayP99Ms: window.delayP99Ms ?? undefined,
    ...busyness(window)
  }
}

const paced = (spec: Paced, lengths: Lengths): Scenario => ({
  ...spec,
  title: `${spec.streams} streams x ${spec.rate} tokens/s, each token an event`,
  run: (target, lab) => runPaced(spec, lengths, target, lab)
})

export const steady = (lengths: Lengths): Scenario =>
  paced(
    {
      name: 'steady',
      streams: 1000,
      rate: 20,
      columns: [CPU, ...DELAYS, DELIVERED, ...BUSYNESS],
      peersInQuick: true
    },
    lengths
  )

/** 50,000 tokens/s offered to one core. */
export const heavy = (lengths: Lengths): Scenario =>
  paced({ name: 'heavy', streams: 1000, rate: 50, columns: [CPU, ...DELAYS, DELIVERED, ...BUSYNESS] }, lengths)

/** 10,000 tokens/s: what a proxy adds to each token's delay. */
export const delay = (lengths: Lengths): Scenario =>
  paced({ name: 'delay', streams: 200, rate: 50, columns: [...ADDED, CPU] }, lengths)

const FIREHOSES = 8

export const firehose = (lengths: Lengths): Scenario => ({
  name: 'firehose',
  title: `${FIREHOSES} streams as fast as they go, 32 events a write`,
  columns: [CPU, { key: 'tokensPerSecond', title: 'tokens/s', digits: 0 }, ...BUSYNESS],
  async run(target, lab) {
    await openStreams(lab, { count: FIREHOSES, mode: 'fire', rate: 0, log: false })
    await sleep(lengths.settleMs)
    const window = await measure(target, lab, lengths.windowS)
    return {
      cpuUsPerToken: perToken(window),
      tokensPerSecond: window.tokens / window.seconds,
      ...busyness(window)
    }
  }
})
