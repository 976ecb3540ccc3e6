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
 * The healthy engines that may get a request. Where every breaker is open the breakers are ignored: a guess is better than
 * a certain refusal.
 */
function findUsable<T extends Candidate>(all: Iterable<T>): T[] {
  const healthy = [...all].filter((candidate) => candidate.healthy)
  const allowed = healthy.filter((candidate) => candidate.allowed)
  return allowed.length > 0 ? allowed : healthy
}

/** How many more requests the engines take at once. */
export function countRoom(all: Iterable<Candidate>): number {
  return findUsable(all).reduce((room, { maxActive, inFlight }) => room + Math.max(0, maxActive - inFlight), 0)
}

/**
 * The engine with the fewest requests in flight among those that have room and were not tried yet; ties are broken by
 * `random` (0 ≤ r < 1), so that several gateways don't all choose the same.
 */
export function pickEngine<T extends Candidate>(
  all: Iterable<T>,
  tried: ReadonlySet<string>,
  random: () => number
): T | undefined {
  const untried = [...all].filter((candidate) => !tried.has(candidate.id))
  const open = findUsable(untried).filter((candidate) => candidate.inFlight < candidate.maxActive)
  const least = Math.min(...open.map((candidate) => candidate.inFlight))
  const best = open.filter((candidate) => candidate.inFlight === least)
  return best[Math.floor(random() * best.length)]
}
