// Finds stop strings in text that comes in pieces, and holds back what may still turn out to be the start of one.

/** What may be shown after a piece has come. */
export interface Cut {
  readonly text: string
  /** The stop string that ended the text here. */
  readonly stop?: string
}

export interface StopCutter {
  /** Adds a piece. With `mayStop` false it is not searched, as vLLM does below `min_tokens`. */
  push(piece: string, mayStop: boolean): Cut
  /** What was still held back; the text has ended by itself. */
  flush(): string
}

/**
 * As vLLM's detokenizer: the longest stop string less one character stays back until the end, so that no part of a stop
 * string is ever shown; the first string in the list that occurs wins.
 */
export function createStopCutter(stops: readonly string[], includeStop: boolean): StopCutter {
  const longest = Math.max(1, ...stops.map(({ length }) => length))
  const keep = includeStop ? 0 : longest - 1
  let held = ''
  let shown = ''
  const find = (text: string) => stops.find((stop) => text.includes(stop))
  return {
    push(piece, mayStop) {
      const searched = shown + held + piece
      const stop = mayStop ? find(searched) : undefined
      if (stop !== undefined) {
        const end = searched.indexOf(stop) + (includeStop ? stop.length : 0)
        return { text: searched.slice(shown.length, Math.max(end, shown.length)), stop }
      }
      const all = held + piece
      const text = all.slice(0, Math.max(0, all.length - keep))
      held = all.slice(text.length)
      // only with includeStop is text shown that may be the start of a stop string
      if (includeStop) shown = (shown + text).slice(1 - longest || Number.POSITIVE_INFINITY)
      return { text }
    },
    flush() {
      const rest = held
      held = ''
      return rest
    }
  }
}
