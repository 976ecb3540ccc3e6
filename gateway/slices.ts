// Cuts long work into slices, so that open streams go on between them.
import { setImmediate as turn } from 'node:timers/promises'

/** So many of the things that are gone through here take a few ms. */
const SLICE = 2_000

/** Hands out `items` a slice at a time, the first one at once, each with the index of its first item. */
export async function inSlices<T>(
  items: readonly T[],
  take: (slice: readonly T[], from: number) => void
): Promise<void> {
  for (let from = 0; from < items.length; from += SLICE) {
    if (from > 0) await turn()
    take(items.slice(from, from + SLICE), from)
  }
}
