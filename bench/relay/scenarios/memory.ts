// Memory of open streams that are silent, then what happens when all of their clients leave at once; and of a stalled reader.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, openStreams } from '../lab.ts'
import { rssOf, treeOf } from '../machine.ts'
import type { Target } from '../subjects/subject.ts'
import { type Column, type Lengths, type Sample, type Scenario, scaled } from './scenario.ts'

const MB = 1024 * 1024
/** A process that has served a little: its first pages are not charged to the streams. */
const WARM_STREAMS = 50
const LEAVE_MS = 10_000
const SAMPLE_MS = 250

const rssMb = (target: Target): number => (target.pid === undefined ? Number.NaN : rssOf(treeOf(target.pid)) / MB)

const idleStreams = (count: number) => ({ count, mode: 'idle', rate: 0, log: false }) as const

/** The steps that a subject is given: one that can't sustain much gets the first only. */
const stepsOf = (lengths: Lengths, target: Target) =>
  target.scale < 1 ? lengths.idleSteps.slice(0, 1) : lengths.idleSteps

async function fill(lengths: Lengths, target: Target, lab: Lab): Promise<Record<string, number>> {
  await openStreams(lab, idleStreams(scaled(WARM_STREAMS, target)))
  await lab.load.call('leaveAll')
  await lab.engine.call('untilEmpty', { timeoutMs: LEAVE_MS })
  await sleep(lengths.settleMs)
  const baseMb = rssMb(target)
  const sample: Record<string, number> = { baseMb }
  let opened = 0
  for (const step of stepsOf(lengths, target)) {
    await openStreams(lab, idleStreams(step - opened))
    opened = step
    await sleep(lengths.settleMs)
    sample[`kbAt${step}`] = ((rssMb(target) - baseMb) * 1024) / step
    sample.fullMb = rssMb(target)
  }
  return sample
}

export function memory(lengths: Lengths): Scenario {
  const most = lengths.idleSteps.at(-1) ?? 0
  return {
    name: 'memory',
    title: `resident memory of silent streams; then ${most} clients leave at once`,
    columns: [
      { key: 'baseMb', title: 'base MB', digits: 0 },
      { key: 'fullMb', title: 'full MB', digits: 0 },
      ...lengths.idleSteps.map((step): Column => ({ key: `kbAt${step}`, title: `KB at ${step}`, digits: 1 })),
      { key: 'allClosedMs', title: 'all closed ms', digits: 0 },
      { key: 'leftOpen', title: 'left open', digits: 0 }
    ],
    fresh: true,
    async run(target, lab) {
      const sample = await fill(lengths, target, lab)
      const leftAtUs = await lab.load.call('leaveAll')
      const emptiedAtUs = await lab.engine.call('untilEmpty', { timeoutMs: LEAVE_MS })
      const allClosedMs = emptiedAtUs === null ? undefined : (emptiedAtUs - leftAtUs) / 1000
      return { ...sample, allClosedMs, leftOpen: await lab.engine.call('open') }
    }
  }
}

export const stalled = (lengths: Lengths): Scenario => ({
  name: 'stalled',
  title: `a reader of a firehose that stops reading for ${lengths.stallS} s`,
  columns: [
    { key: 'baseMb', title: 'base MB', digits: 0 },
    { key: 'growthMb', title: 'growth MB', digits: 2 },
    { key: 'peakMb', title: 'peak growth MB', digits: 2 }
  ],
  fresh: true,
  needsProxy: true,
  async run(target, lab): Promise<Sample> {
    const fire = { count: 1, mode: 'fire', rate: 0, log: false } as const
    await openStreams(lab, fire)
    await sleep(lengths.settleMs)
    await lab.load.call('leaveAll')
    await lab.engine.call('untilEmpty', { timeoutMs: LEAVE_MS })
    await sleep(lengths.settleMs)
    const baseMb = rssMb(target)
    await openStreams(lab, fire)
    await lab.load.call('stall')
    const grown: number[] = []
    for (let atMs = 0; atMs < lengths.stallS * 1000; atMs += SAMPLE_MS) {
      await sleep(SAMPLE_MS)
      grown.push(rssMb(target) - baseMb)
    }
    return { baseMb, growthMb: grown.at(-1), peakMb: Math.max(...grown) }
  }
})
