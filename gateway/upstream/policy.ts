// Which engine gets a request: filter, score, pick. Pure.

/** What a choice looks at. */
export interface Candidate {
  readonly id: string
  readonly inFlight: number
  /** How many requests it gets at once. */
  readonly maxActive: number
  readonly healthy: boolean
  /** The breaker lets requests through. */
  readonly allowed: boolean
}

/**
 * Whether some healthy engine's breaker lets requests through. One that was tried has failed, unless it is full: then it
 * may be waited for.
 */
function isAnyAllowed(all: readonly Candidate[], tried?: readonly string[]): boolean {
  for (const { id, healthy, allowed, inFlight, maxActive } of all)
    if (healthy && allowed && (inFlight >= maxActive || tried?.includes(id) !== true)) return true
  return false
}

/**
 * How many more requests the healthy engines take at once. Where every breaker is open the breakers are ignored: a guess
 * is better than a certain refusal.
 */
export function countRoom(all: readonly Candidate[]): number {
  const obeysBreakers = isAnyAllowed(all)
  let room = 0
  for (const { healthy, allowed, maxActive, inFlight } of all)
    if (healthy && (allowed || !obeysBreakers)) room += Math.max(0, maxActive - inFlight)
  return room
}

/**
 * The engine with the fewest requests in flight among those that have room and were not tried yet; ties are broken by
 * `random` (0 ≤ r < 1), so that several gateways don't all choose the same. Breakers count as in `countRoom`.
 */
export function pickEngine<T extends Candidate>(
  all: readonly T[],
  tried: readonly string[],
  random: () => number
): T | undefined {
  const obeysBreakers = isAnyAllowed(all, tried)
  let best: T | undefined
  let ties = 0
  for (const candidate of all) {
    const { id, healthy, allowed, inFlight, maxActive } = candidate
    if (!healthy || inFlight >= maxActive || tried.includes(id) || (obeysBreakers && !allowed)) continue
    if (best === undefined || inFlight < best.inFlight) {
      best = candidate
      ties = 1
      // each of n equal ones stays with a chance of 1/n
    } else if (inFlight === best.inFlight && random() * ++ties >= ties - 1) best = candidate
  }
  return best
}
