// The load generator, a process of its own: opens streams, sends requests and measures what comes back, as the runner says.
import { quantile } from '../figures.ts'
import { serve } from '../rpc.ts'
import type { Address } from './client.ts'
import { type Figures, Recorder } from './recorder.ts'
import { Requests } from './requests.ts'
import { type OpenOptions, Streams } from './streams.ts'

const recorder = new Recorder()
const streams = new Streams(recorder)
const requests = new Requests(recorder)
let address: Address | undefined

function target(): Address {
  if (address === undefined) throw new Error('no target was given')
  return address
}

const verbs = {
  /** Where everything goes from now on. */
  aim(at: Address): void {
    address = at
  },
  open: (options: OpenOptions) => streams.open(target(), options),
  loop: ({ connections }: { connections: number }) => requests.loop(target(), connections),
  async probe({ count, everyMs }: { count: number; everyMs: number }) {
    const sorted = await requests.probe(target(), count, everyMs)
    return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
  },
  mark: () => recorder.mark(),
  /** What came since the mark; throws when a stream or a request broke meanwhile. */
  collect(): Figures {
    const figures = recorder.collect()
    const broken = streams.broken ?? requests.broken
    if (broken !== undefined) throw new Error(broken)
    return figures
  },
  leave: ({ count, everyMs }: { count: number; everyMs: number }) => streams.leave(count, everyMs),
  leaveAll: () => streams.leaveAll(),
  stall: () => streams.stall(),
  /** Ends everything that is open. */
  close(): void {
    streams.leaveAll()
    requests.close()
  }
}
export type LoadVerbs = typeof verbs

serve(verbs)
