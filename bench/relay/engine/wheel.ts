// A timer wheel with slots of one millisecond: thousands of paced streams behind one timer.

const SLOTS = 256

/** The longest delay that fits, in ms. */
export const LONGEST_MS = SLOTS - 1

export class Wheel<T> {
  readonly #slots: T[][] = Array.from({ length: SLOTS }, () => [])
  readonly #visit: (item: T) => number
  #atMs: number

  /** @param visit is called when an item is due; returns in how many ms it is due again, 0 for never */
  constructor(startMs: number, visit: (item: T) => number) {
    this.#atMs = Math.floor(startMs)
    this.#visit = visit
  }

  /** Makes `item` due in `delayMs`, 1 to `LONGEST_MS`. */
  add(item: T, delayMs: number): void {
    this.#slots[(this.#atMs + delayMs) % SLOTS]?.push(item)
  }

  /** Visits all that is due up to `nowMs`. A late call catches up slot by slot, so that the pace holds on average. */
  advance(nowMs: number): void {
    while (this.#atMs < Math.floor(nowMs)) {
      this.#atMs++
      const at = this.#atMs % SLOTS
      const due = this.#slots[at] as T[]
      if (due.length === 0) continue
      this.#slots[at] = []
      for (const item of due) {
        const delayMs = this.#visit(item)
        if (delayMs > 0) this.add(item, delayMs)
      }
    }
  }
}
