// The laboratory: engine and load generator in processes of their own, and how a proxy's cost is measured between two moments.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { nowUs } from './clock.ts'
import type { EngineVerbs } from './engine/main.ts'
import { ENDLESS } from './engine/order.ts'
import type { LoadVerbs } from './load/main.ts'
import type { Figures } from './load/recorder.ts'
import type { OpenOptions } from './load/streams.ts'
import { cpuOf, treeOf } from './machine.ts'
import { CORES, start } from './processes.ts'
import { connectTo, type Remote } from './rpc.ts'
import type { Target } from './subjects/subject.ts'

export interface Lab {
  readonly engine: Remote<EngineVerbs>
  readonly load: Remote<LoadVerbs>
  readonly enginePort: number
  /** Processes of the harness itself. */
  readonly pids: readonly number[]
}

/** What a window of time cost and brought. */
export interface Window extends Figures {
  /** On-CPU microseconds of the proxy a second; undefined without a proxy. */
  readonly cpuUsPerSecond: number | undefined
  /** How busy the proxy's core was with it, in percent. */
  readonly proxyPercent: number | undefined
  /** How busy the harness was; near 100 the harness is what limits. */
  readonly harnessPercent: number
  /** How long the proxy waited for its core, in percent of the time: more than a little means that others ran there. */
  readonly waitedPercent: number | undefined
}

/** Proxies that cancel have done so after this; the others' leftovers are closed at the engine. */
const EMPTY_MS = 1_000
/** For the proxy to finish with the connections of the scenario before. */
const REST_MS = 150

export async function openLab(): Promise<Lab> {
  const open = (name: string) => {
    const script = fileURLToPath(new URL(`./${name}/main.ts`, import.meta.url))
    return start({ name, command: [process.execPath, script], core: CORES.harness, ipc: true })
  }
  const [engine, load] = [open('engine'), open('load')]
  const remote = connectTo<EngineVerbs>(engine.child, 'engine')
  return {
    engine: remote,
    load: connectTo<LoadVerbs>(load.child, 'load generator'),
    enginePort: await remote.call('listen'),
    pids: [engine.pid, load.pid, process.pid]
  }
}

/** Opening so many streams may take a slow proxy a while, but not forever. */
const OPEN_MS = 60_000

/** Opens endless streams, waits for the first token of each, and only then sets them going. */
export async function openStreams(
  lab: Lab,
  streams: Pick<OpenOptions, 'count' | 'mode' | 'rate' | 'log'>
): Promise<void> {
  await lab.load.call('open', { ...streams, tokens: ENDLESS, timeoutMs: OPEN_MS })
  await lab.engine.call('go')
}

/** Measures `seconds` of what is going on. */
export async function measure(target: Target, lab: Lab, seconds: number): Promise<Window> {
  const pids = target.pid === undefined ? [] : treeOf(target.pid)
  await lab.load.call('mark')
  const look = () => ({ atUs: nowUs(), proxy: cpuOf(pids), harness: cpuOf(lab.pids) })
  const before = look()
  await sleep(seconds * 1000)
  const after = look()
  const figures = await lab.load.call('collect')
  const percent = (ns: number) => ns / 10 / (after.atUs - before.atUs)
  const proxyPercent = percent(after.proxy.onNs - before.proxy.onNs)
  const proxied = pids.length > 0
  return {
    ...figures,
    cpuUsPerSecond: proxied ? proxyPercent * 1e4 : undefined,
    proxyPercent: proxied ? proxyPercent : undefined,
    waitedPercent: proxied ? percent(after.proxy.waitedNs - before.proxy.waitedNs) : undefined,
    harnessPercent: percent(after.harness.onNs - before.harness.onNs)
  }
}

/** Ends what a scenario left open, so that the next one begins on quiet ground. */
export async function clear(lab: Lab): Promise<void> {
  await lab.load.call('close')
  await lab.engine.call('untilEmpty', { timeoutMs: EMPTY_MS })
  await lab.engine.call('reset')
  await sleep(REST_MS)
}
