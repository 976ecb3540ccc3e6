// The time of day as HTTP headers write it, made once a second.

/** @param nowMs milliseconds since 1970 */
export function createHttpDate(nowMs: () => number): () => string {
  let second = -1
  let text = ''
  return () => {
    const current = Math.floor(nowMs() / 1000)
    if (current !== second) {
      second = current
      text = new Date(current * 1000).toUTCString()
    }
    return text
  }
}
