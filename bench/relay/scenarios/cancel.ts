// Clients that leave in the middle of their answers: how soon the engine's stream is closed, and what was generated for nobody.
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../figures.ts'
import { openStreams } from '../lab.ts'
import { type Lengths, type Scenario, scaled } from './scenario.ts'

const STREAMS = 400
const RATE = 25
const LEAVERS = 200
const EVERY_MS = 5
/** What is not closed by then is not cancelled. */
const GIVE_UP_MS = 2_500

export const cancel = (lengths: Lengths): Scenario => ({
  name: 'cancel',
  title: `${LEAVERS} of ${STREAMS} clients leave a load of ${STREAMS * RATE} tokens/s, one every ${EVERY_MS} ms`,
  columns: [
    { key: 'closedP50Ms', title: 'closed p50 ms', digits: 3 },
    { key: 'closedP99Ms', title: 'closed p99 ms', digits: 2 },
    { key: 'cancelledPercent', title: 'cancelled %', digits: 1 },
    { key: 'tokensAfterMean', title: 'tokens after', digits: 3 },
    { key: 'tokensAfterMax', title: 'at most', digits: 0 }
  ],
  async run(target, lab) {
    const count = scaled(STREAMS, target)
    await openStreams(lab, { count, mode: 'pace', rate: RATE, log: true })
    await sleep(lengths.settleMs)
    const leavers = await lab.load.call('leave', { count: scaled(LEAVERS, target), everyMs: EVERY_MS })
    const cancels = await lab.engine.call('cancels', { leavers, timeoutMs: GIVE_UP_MS })
    const closed = cancels.flatMap(({ closedAfterUs }) => (closedAfterUs === null ? [] : [closedAfterUs / 1000]))
    closed.sort((a, b) => a - b)
    const after = cancels.map(({ tokensAfter }) => tokensAfter)
    return {
      closedP50Ms: quantile(closed, 0.5),
      closedP99Ms: quantile(closed, 0.99),
      cancelledPercent: (closed.length / cancels.length) * 100,
      tokensAfterMean: after.reduce((sum, tokens) => sum + tokens, 0) / after.length,
      tokensAfterMax: Math.max(...after)
    }
  }
})
