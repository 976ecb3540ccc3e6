// Takes an engine that keeps failing out of the choice for a while, between two looks at its health.

/** After so many failures in a row the engine rests. */
const FAILURES = 3
/** The first rest, in ms; each further one in a row is twice as long. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 30_000

export interface Breaker {
  /** Whether requests may be sent. After a rest one success closes the breaker, one failure starts a longer rest. */
  readonly allowed: boolean
  /** Whether they may, and the engine is not on trial: it has succeeded since its last rest, or never had one. */
  readonly closed: boolean
  report(result: 'ok' | 'failed'): void
  /** Tells of no rest's end any more. */
  stop(): void
}

/**
 * @param now a monotonic clock in ms
 * @param onRested told at the end of each rest: whoever waits for an engine looks at no clock
 */
export function createBreaker(now: () => number, onRested: () => void): Breaker {
  let failures = 0
  let restUntilMs = 0
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  return {
    get allowed() {
      return now() >= restUntilMs
    },
    get closed() {
      return failures < FAILURES && now() >= restUntilMs
    },
    report(result) {
      // failures of requests that were under way when the rest began say nothing new
      if (result === 'failed' && now() < restUntilMs) return
      failures = result === 'ok' ? 0 : failures + 1
      if (failures < FAILURES) return
      const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** (failures - FAILURES))
      restUntilMs = now() + restMs
      clearTimeout(timer)
      // timers count whole milliseconds, so one may come a little before the rest is over by the clock
      if (!isStopped) timer = setTimeout(onRested, restMs + 1).unref()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    }
  }
}
