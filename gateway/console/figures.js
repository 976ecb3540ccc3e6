// The figures of one answer, pure: from when each piece of it arrived to what a reader feels.

/**
 * What the gateway itself measured, where it tells.
 *
 * @typedef {{ ttftMs: number, tokens: number, tokensPerSecond: number }} GatewayFigures
 */

/**
 * @typedef {object} Figures
 * @property {number | undefined} ttftMs from the request to the first piece
 * @property {number} tokens counted by the engine where it told, or else the pieces that arrived
 * @property {number | undefined} tokensPerSecond from the first piece to the last
 * @property {number | undefined} medianGapMs
 * @property {number | undefined} p95GapMs
 * @property {number | undefined} longestGapMs
 */

/**
 * The time between each piece and the one before it.
 *
 * @param {readonly number[]} arrivalsMs
 */
export function gapsOf(arrivalsMs) {
  return arrivalsMs.slice(1).map((at, index) => at - (arrivalsMs[index] ?? at))
}

/**
 * @param {readonly number[]} sorted
 * @param {number} share 0.5 for the median
 */
function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

/**
 * @param {readonly number[]} arrivalsMs when each piece of output arrived, from the request on
 * @param {number} [countedTokens] what the engine counted; a piece may hold several tokens
 * @returns {Figures}
 */
export function figuresOf(arrivalsMs, countedTokens) {
  const gaps = gapsOf(arrivalsMs).sort((a, b) => a - b)
  const tokens = countedTokens ?? arrivalsMs.length
  const spanMs = (arrivalsMs.at(-1) ?? 0) - (arrivalsMs[0] ?? 0)
  return {
    ttftMs: arrivalsMs[0],
    tokens,
    tokensPerSecond: tokens < 2 || spanMs <= 0 ? undefined : ((tokens - 1) * 1000) / spanMs,
    medianGapMs: quantile(gaps, 0.5),
    p95GapMs: quantile(gaps, 0.95),
    longestGapMs: gaps.at(-1)
  }
}

/**
 * The figures in the comment that ends a stream which was asked for with `x-sluice-timing: 1`.
 *
 * @param {string} comment
 * @returns {GatewayFigures | undefined}
 */
export function readGatewayFigures(comment) {
  const found = /^sluice ttft_ms=([\d.]+) tokens=(\d+) tokens_per_second=([\d.]+)/.exec(comment)
  if (found === null) return undefined
  return { ttftMs: Number(found[1]), tokens: Number(found[2]), tokensPerSecond: Number(found[3]) }
}

/**
 * How long the request waited for an engine, from a `Server-Timing` header.
 *
 * @param {string | null} header
 */
export function readQueueMs(header) {
  const found = /\bqueue;dur=([\d.]+)/.exec(header ?? '')
  return found === null ? undefined : Number(found[1])
}
