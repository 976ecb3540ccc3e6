// Seeded randomness: the same seed gives the same numbers, whatever else the engine does.

/** The next number in [0, 1). */
export type Random = () => number

/** FNV-1a over UTF-16 units: spreads texts over 32 bits; `from` continues an earlier hash. */
export function hashText(text: string, from = 0x811c9dc5): number {
  let hash = from
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}

/** A generator (mulberry32) whose numbers depend on all of `seeds` and their order. */
export function createRandom(...seeds: readonly (string | number)[]): Random {
  let state = seeds.reduce<number>((hash, seed) => hashText(`${seed}|`, hash), 0x811c9dc5)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of `items`, which is not empty. */
export function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)] as T
}

/** So many random hex digits. */
export function randomHex(digits: number, random: Random): string {
  return Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')
}
