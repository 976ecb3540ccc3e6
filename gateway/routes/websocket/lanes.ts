// The order of the requests on one connection: one after the other in a lane, lanes beside each other, so many at once.
import { GatewayError } from '../../errors.ts'

/** OpenAI's own limit (https://developers.openai.com/api/docs/guides/websocket-mode); the lane without a name is not counted. */
const MAX_NAMED_LANES = 32
/** More requests than this don't wait on one connection. */
const MAX_WAITING = 64

/** Something that runs in a lane. */
export interface Job {
  /** Undefined: the default lane. */
  readonly lane: string | undefined
  /** What it holds while it waits, in bytes. */
  readonly bytes: number
}

export interface LaneLimits {
  /** How many jobs run at once. */
  readonly maxRunning: number
  /** How many bytes wait, at most. */
  readonly maxWaitingBytes: number
}

export class Lanes<J extends Job> {
  readonly #limits: LaneLimits
  readonly #start: (job: J) => void
  readonly #named = new Set<string>()
  readonly #running = new Map<string | undefined, J>()
  #waiting: J[] = []
  #waitingBytes = 0

  /** @param start called when it is a job's turn; the job runs until `end` is called with it */
  constructor(limits: LaneLimits, start: (job: J) => void) {
    this.#limits = limits
    this.#start = start
  }

  get running(): number {
    return this.#running.size
  }

  /** The job that runs in a lane. */
  find(lane: string | undefined): J | undefined {
    return this.#running.get(lane)
  }

  /** Starts a job or lets it wait. Throws a `GatewayError` for a lane or a wait too many. */
  add(job: J): void {
    this.#name(job.lane)
    if (this.#waiting.length >= MAX_WAITING || this.#waitingBytes + job.bytes > this.#limits.maxWaitingBytes) {
      throw new GatewayError('too_many_streams', {
        message: `${this.#waiting.length} requests wait on this connection already. Wait for a response to end.`
      })
    }
    this.#waiting.push(job)
    this.#waitingBytes += job.bytes
    this.#pump()
  }

  /**
   * A job has ended: the next one of its lane may go, in the next turn of the event loop. Whoever ends a job is in the middle of
   * its own work, and has not given back its place in the gateway's line: the next one would find it full.
   */
  end(job: J): void {
    if (this.#running.get(job.lane) !== job) return
    this.#running.delete(job.lane)
    if (this.#waiting.length > 0) setImmediate(() => this.#pump())
  }

  /** Takes away everything that waits. */
  clear(): J[] {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    return waiting
  }

  #name(lane: string | undefined): void {
    if (lane === undefined || this.#named.has(lane)) return
    if (this.#named.size >= MAX_NAMED_LANES)
      throw new GatewayError('websocket_stream_limit_reached', { param: 'stream_id' })
    this.#named.add(lane)
  }

  #pump(): void {
    for (let at = 0; at < this.#waiting.length && this.#running.size < this.#limits.maxRunning; ) {
      const job = this.#waiting[at] as J
      if (this.#running.has(job.lane)) at++
      else {
        this.#waiting.splice(at, 1)
        this.#waitingBytes -= job.bytes
        this.#running.set(job.lane, job)
        this.#start(job)
      }
    }
  }
}
