// A program in a node's network: tells that it looks, and then when a gateway has come to know a number of engines.
import { setTimeout as sleep } from 'node:timers/promises'
import { METRICS } from '../../../gateway/contract.ts'

/** Far below what is measured. */
const EVERY_MS = 25
/** Long enough for an engine to start. */
const WITHIN_MS = 120_000

/** @param metrics the address of a gateway's metrics @returns how many engines of `pool` it has */
async function countEngines(metrics: string, pool: string): Promise<number> {
  const lines = (await (await fetch(metrics)).text()).split('\n')
  return lines.filter((line) => line.startsWith(`${METRICS.engineUp}{`) && line.includes(`pool="${pool}"`)).length
}

const [metrics = '', pool = '', wanted = ''] = process.argv.slice(2)
const deadlineMs = Date.now() + WITHIN_MS
let count = await countEngines(metrics, pool)
// what is to be noticed may happen from now on
process.stdout.write('watching\n')
while (count !== Number(wanted)) {
  if (Date.now() > deadlineMs) {
    throw new Error(`${metrics} has ${count} engines of ${pool}, not ${wanted}, for ${WITHIN_MS / 1000} s`)
  }
  await sleep(EVERY_MS)
  count = await countEngines(metrics, pool)
}
process.stdout.write(`${Date.now()}\n`)
