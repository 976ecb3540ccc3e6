// Which engine gets a request: filter, score, pick. Pure.

/** What a choice looks at. */
export interface Candidate {
  readonly id: string
  readonly inFlight: number
  readonly healthy: boolean
  /** The breaker lets requests through. */
  readonly allowed: boolean
}

/**
 * The healthy engine with the fewest requests in flight that was not tried yet; ties are broken by `random` (0 ≤ r < 1),
 * so that several gateways don't all choose the same. Where every breaker is open the breakers are ignored: a guess is
 * better than a certain refusal.
 */
export function pickEngine<T extends Candidate>(
  all: Iterable<T>,
  tried: ReadonlySet<string>,
  random: () => number
): T | undefined {
  const untried = [...all].filter((candidate) => candidate.healthy && !tried.has(candidate.id))
  const allowed = untried.filter((candidate) => candidate.allowed)
  const choice = allowed.length > 0 ? allowed : untried
  const least = Math.min(...choice.map((candidate) => candidate.inFlight))
  const best = choice.filter((candidate) => candidate.inFlight === least)
  return best[Math.floor(random() * best.length)]
}
