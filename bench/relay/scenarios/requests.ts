// What a request costs by itself: answers of one token, in a closed loop, and the time to the first token under load.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, measure, openStreams } from '../lab.ts'
import type { Target } from '../subjects/subject.ts'
import { BUSYNESS, busyness, type Lengths, type Scenario, scaled } from './scenario.ts'

const CONNECTIONS = 32
/** An equal load for every subject: in a closed loop a fast one keeps the harness awake, and need not pay to wake it. */
const EQUAL_PER_SECOND = 1_000
/** A just-in-time compiler needs so many requests' time before the code of a request is what it stays. */
const WARM_MS = 1_000

export const requests = (lengths: Lengths): Scenario => ({
  name: 'requests',
  title: `requests of one token, ${CONNECTIONS} kept connections in a closed loop`,
  columns: [
    { key: 'cpuUsPerRequest', title: 'CPU us/request', digits: 1, against: 'ratio' },
    { key: 'equalLoadUsPerRequest', title: `us at ${EQUAL_PER_SECOND}/s`, digits: 1, against: 'ratio' },
    { key: 'requestsPerSecond', title: 'requests/s', digits: 0 },
    ...BUSYNESS
  ],
  peersInQuick: true,
  async run(target, lab) {
    await lab.load.call('loop', { connections: CONNECTIONS })
    await sleep(Math.max(lengths.settleMs, WARM_MS))
    const window = await measure(target, lab, lengths.windowS)
    const { cpuUsPerSecond, seconds } = window
    await lab.load.call('close')
    const perSecond = EQUAL_PER_SECOND * target.scale
    const equal = await measureEqualLoad(target, lab, lengths.windowS, perSecond)
    return {
      cpuUsPerRequest: cpuUsPerSecond === undefined ? undefined : (cpuUsPerSecond * seconds) / window.requests,
      equalLoadUsPerRequest: equal === undefined ? undefined : equal / perSecond,
      requestsPerSecond: window.requests / seconds,
      ...busyness(window)
    }
  }
})

/** The proxy's on-CPU microseconds a second while so many requests come in each. */
async function measureEqualLoad(target: Target, lab: Lab, windowS: number, perSecond: number) {
  // it begins before the window and ends after it
  const probing = lab.load.call('probe', { count: Math.ceil(perSecond * (windowS + 1)), everyMs: 1_000 / perSecond })
  await sleep(500)
  const { cpuUsPerSecond } = await measure(target, lab, windowS)
  await probing
  return cpuUsPerSecond
}

const BACKGROUND = { streams: 100, rate: 50 }
const PROBE_EVERY_MS = 10

export const ttft = (lengths: Lengths): Scenario => ({
  name: 'ttft',
  title: `time to first token on kept connections, under ${BACKGROUND.streams * BACKGROUND.rate} tokens/s`,
  columns: [
    { key: 'ttftP50Ms', title: 'TTFT p50 ms', digits: 3, against: 'added' },
    { key: 'ttftP99Ms', title: 'TTFT p99 ms', digits: 2, against: 'added' }
  ],
  async run(target, lab) {
    const { streams, rate } = BACKGROUND
    const count = scaled(streams, target)
    await openStreams(lab, { count, mode: 'pace', rate, log: false })
    await sleep(lengths.settleMs)
    const everyMs = PROBE_EVERY_MS / target.scale
    const probes = Math.round((lengths.windowS * 1000) / everyMs)
    const { p50Ms, p99Ms } = await lab.load.call('probe', { count: Math.max(10, probes), everyMs })
    return { ttftP50Ms: p50Ms, ttftP99Ms: p99Ms }
  }
})
