// How many requests an engine gets at once: fewer once it has refused one as too many or failed, and by and by more again.

/**
 * Such an engine gets one more request after so long, two more after twice that, then four, eight, …: other gateways
 * fill it as well, and nobody says when there is room, or when it is well again.
 */
const STEP_MS = 500

export interface Limit {
  /** How many requests the engine gets at once, as things are now. */
  readonly maxActive: number
  /** The engine has shown that it takes no more than `atMost` from here, or should be tried with so many. */
  lower(atMost: number): void
  /** Grows no more, whatever comes. */
  stop(): void
}

/**
 * @param most what the limit is at first, and grows back to
 * @param onGrow told each time that the limit has grown
 */
export function createLimit(most: number, onGrow: () => void): Limit {
  let maxActive = most
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const growLater = (by: number) => {
    if (isStopped) return
    timer = setTimeout(() => {
      maxActive = Math.min(most, maxActive + by)
      if (maxActive < most) growLater(by * 2)
      onGrow()
    }, STEP_MS).unref()
  }
  return {
    get maxActive() {
      return maxActive
    },
    lower(atMost) {
      // what says nothing new must not slow down the growth
      if (atMost >= maxActive) return
      clearTimeout(timer)
      maxActive = atMost
      growLater(1)
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    }
  }
}
