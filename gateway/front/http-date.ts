// The time of day as HTTP headers write it, made once a second.

/**
 * @param nowEpochMs milliseconds since 1970
 * @param now a monotonic clock in ms, which takes less time to read
 */
export function createHttpDate(nowEpochMs: () => number, now: () => number): () => string {
  let untilMs = Number.NEGATIVE_INFINITY
  let text = ''
  return () => {
    const nowMs = now()
    if (nowMs < untilMs) return text
    const epochMs = nowEpochMs()
    untilMs = nowMs + 1000 - (epochMs % 1000)
    text = new Date(epochMs).toUTCString()
    return text
  }
}
