// Judges, purely, whether something between the gateway and this page collects tokens before it passes them on.
import { gapsOf } from './figures.js'

/**
 * @typedef {object} Sighting
 * @property {readonly number[]} arrivalsMs when each piece of output arrived, from the request on
 * @property {number | undefined} [queueMs] how long the gateway let the request wait for an engine
 * @property {import('./figures.js').GatewayFigures | undefined} [gateway] what the gateway measured at its own end
 */

/**
 * `live`: pieces arrive as they leave. `held`: the answer was kept back and came at once. `clumped`: it came in a few
 * clumps. `unknown`: too little to tell. `isMeasured`: compared with the gateway's own figures, so beyond doubt.
 *
 * @typedef {object} Judgement
 * @property {'live' | 'held' | 'clumped' | 'unknown'} verdict
 * @property {boolean} isMeasured
 * @property {number} clumps how many moments brought anything
 * @property {number} delayMs how much later the first piece came than it had left; 0 where that is not known
 * @property {number} spanMs from the first piece to the last, as this page saw it
 * @property {number | undefined} sentSpanMs the same, as the gateway saw it
 */

/** Fewer pieces than this may arrive together by chance. */
const ENOUGH_PIECES = 12
/** What arrives closer together than this came in one read. */
const TOGETHER_MS = 2
/** An answer that left within so little time may arrive at once, and nobody would see the difference. */
const NOTICEABLE_MS = 150
/** Of the gateway's own span: an answer that arrives in less has been compressed by somebody. */
const COMPRESSED = 0.3
/** Pieces a clump, and time between clumps, on average, from which on it is not the network's jitter any more. */
const CLUMP_PIECES = 4
const CLUMP_APART_MS = 60
/** Without the gateway's figures: no engine is silent for so long and then writes everything within `SUDDEN_SHARE` of it. */
const SUDDEN_AFTER_MS = 400
const SUDDEN_SHARE = 0.1

/**
 * The tell of a buffer: the time to the first token rises while the gaps between tokens collapse.
 *
 * @param {Sighting} sighting
 * @returns {Judgement}
 */
export function judgeBuffering({ arrivalsMs, queueMs = 0, gateway }) {
  const [first = 0, last = 0] = [arrivalsMs[0], arrivalsMs.at(-1)]
  const spanMs = last - first
  const sentSpanMs = spanOf(gateway)
  const clumps = gapsOf(arrivalsMs).filter((gap) => gap > TOGETHER_MS).length + 1
  const delayMs = gateway === undefined ? 0 : Math.max(0, first - gateway.ttftMs)
  /** @param {Judgement['verdict']} verdict */
  const judge = (verdict) => ({ verdict, isMeasured: sentSpanMs !== undefined, clumps, delayMs, spanMs, sentSpanMs })
  if (arrivalsMs.length < ENOUGH_PIECES) return judge('unknown')
  const isClumped = arrivalsMs.length / clumps >= CLUMP_PIECES && clumps > 1 && spanMs / (clumps - 1) >= CLUMP_APART_MS
  if (sentSpanMs === undefined) {
    const silentMs = first - queueMs
    if (silentMs > SUDDEN_AFTER_MS && spanMs < silentMs * SUDDEN_SHARE) return judge('held')
    return judge(isClumped ? 'clumped' : 'live')
  }
  if (sentSpanMs < NOTICEABLE_MS) return judge('unknown')
  if (spanMs < sentSpanMs * COMPRESSED && delayMs > sentSpanMs * COMPRESSED) return judge('held')
  return judge(isClumped ? 'clumped' : 'live')
}

/**
 * How long the gateway took from the first token to the last.
 *
 * @param {import('./figures.js').GatewayFigures | undefined} gateway
 */
function spanOf(gateway) {
  if (gateway === undefined || gateway.tokensPerSecond <= 0) return undefined
  return ((gateway.tokens - 1) * 1000) / gateway.tokensPerSecond
}

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(ms < 995 ? 2 : 1)} s`

/** @type {Readonly<Record<Judgement['verdict'], string>>} */
const HEADLINES = {
  live: 'Nothing on the way is buffering.',
  held: 'Something on the way is buffering the answer.',
  clumped: 'Something on the way passes tokens on in clumps.',
  unknown: 'Too little to tell whether something on the way is buffering.'
}

/**
 * A judgement in words: what it is, and the figures that show it.
 *
 * @param {Judgement} judgement
 * @param {number} pieces how many pieces arrived
 * @returns {{ headline: string, evidence: string }}
 */
export function describeJudgement({ verdict, isMeasured, clumps, delayMs, spanMs, sentSpanMs }, pieces) {
  const headline = HEADLINES[verdict]
  if (verdict === 'unknown') return { headline, evidence: 'Ask for a longer answer.' }
  if (verdict === 'live') {
    const seen = `${pieces} pieces arrived at ${clumps} moments`
    return {
      headline,
      evidence: isMeasured ? `${seen}, ${Math.round(delayMs)} ms after the gateway sent them.` : `${seen}.`
    }
  }
  const remedy = 'Turn response buffering off in every proxy between this page and the gateway, for /v1 at least.'
  const sent = sentSpanMs === undefined ? '' : `The gateway sent it over ${seconds(sentSpanMs)}; `
  if (verdict === 'clumped') {
    return { headline, evidence: `${sent}${pieces} pieces arrived in ${clumps} clumps. ${remedy}` }
  }
  const late = isMeasured ? `it began ${seconds(delayMs)} late and` : 'After a long silence it'
  const soon = spanMs < 10 ? 'all at once' : `within ${seconds(spanMs)}`
  return { headline, evidence: `${sent}${late} arrived ${soon}. ${remedy}` }
}
