// How much memory request bodies may hold together: a line that is bounded by its number alone is not bounded in bytes.

/**
 * Says of each new body, by its bytes, whether there is room for it; one alone always has.
 *
 * Bodies are let go in many places, and none of them need say so: the sum is only added to, and taken anew when it
 * passes the bound.
 *
 * @param maxBytes so much may be held
 * @param measure what is held now, in bytes, the new body included
 */
export function createBodyBudget(maxBytes: number, measure: () => number): (bytes: number) => boolean {
  /** No more than so much is held. */
  let atMost = 0
  return (bytes) => {
    atMost += bytes
    if (atMost > maxBytes) atMost = measure()
    return atMost <= maxBytes || atMost === bytes
  }
}
