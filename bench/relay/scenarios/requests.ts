// What a request costs by itself: answers of one token, in a closed loop, and the time to the first token under load.
import { setTimeout as sleep } from 'node:timers/promises'
import { measure, openStreams } from '../lab.ts'
import { BUSYNESS, busyness, type Lengths, type Scenario, scaled } from './scenario.ts'

const CONNECTIONS = 32
/** A just-in-time compiler needs so many requests' time before the code of a request is what it stays. */
const WARM_MS = 1_000

export const requests = (lengths: Lengths): Scenario => ({
  name: 'requests',
  title: `requests of one token, ${CONNECTIONS} kept connections in a closed loop`,
  columns: [
    { key: 'cpuUsPerRequest', title: 'CPU us/request', digits: 1, against: 'ratio' },
    { key: 'requestsPerSecond', title: 'requests/s', digits: 0 },
    ...BUSYNESS
  ],
  peersInQuick: true,
  async run(target, lab) {
    await lab.load.call('loop', { connections: CONNECTIONS })
    await sleep(Math.max(lengths.settleMs, WARM_MS))
    const window = await measure(target, lab, lengths.windowS)
    const { cpuUsPerSecond, seconds } = window
    return {
      cpuUsPerRequest: cpuUsPerSecond === undefined ? undefined : (cpuUsPerSecond * seconds) / window.requests,
      requestsPerSecond: window.requests / seconds,
      ...busyness(window)
    }
  }
})

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
