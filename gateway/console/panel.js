// The measurements beside the conversation: figures, plot, and whether something on the way is buffering.
import { describeJudgement } from './buffering.js'
import { find } from './page.js'
import { createPlot } from './plot.js'

/** @param {number | undefined} ms */
function duration(ms) {
  if (ms === undefined) return '–'
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

/** What no engine writes was held back on the way, and is no rate of anything. */
const FASTEST = 10_000

/** @param {number | undefined} rate */
function perSecond(rate) {
  if (rate === undefined || rate > FASTEST) return '–'
  return rate < 100 ? rate.toFixed(1) : String(Math.round(rate))
}

/** @param {string} id */
const cell = (id) => find(`#${id}`, HTMLElement)

export class Panel {
  #plot = createPlot()
  #judgement = cell('judgement')

  /** @param {import('./run.js').Run} run */
  show(run) {
    const { ttftMs, tokens, tokensPerSecond, medianGapMs, p95GapMs, longestGapMs } = run.figures()
    cell('ttft').textContent = duration(ttftMs)
    cell('rate').textContent = perSecond(tokensPerSecond)
    cell('tokens').textContent = String(tokens)
    cell('median').textContent = duration(medianGapMs)
    cell('p95').textContent = duration(p95GapMs)
    cell('longest').textContent = duration(longestGapMs)
    this.#plot.show(run.arrivalsMs)
  }

  /**
   * @param {import('./run.js').Run} run
   * @returns {string} the headline, where there is something to be told
   */
  judge(run) {
    this.#plot.describe(describeGaps(run))
    const found = run.arrivalsMs.length === 0 ? undefined : run.judgement()
    this.#judgement.hidden = found === undefined
    if (found === undefined) return ''
    const isBad = found.verdict === 'held' || found.verdict === 'clumped'
    const { headline, evidence } = describeJudgement(found, run.arrivalsMs.length)
    this.#judgement.classList.toggle('bad', isBad)
    this.#judgement.dataset.verdict = found.verdict
    cell('headline').textContent = headline
    cell('evidence').textContent = evidence
    return isBad ? headline : ''
  }

  clear() {
    this.#judgement.hidden = true
  }
}

/** @param {import('./run.js').Run} run */
function describeGaps(run) {
  const { medianGapMs, p95GapMs, longestGapMs } = run.figures()
  const [median, p95, longest] = [medianGapMs, p95GapMs, longestGapMs].map(duration)
  return `median ${median}, 95th percentile ${p95}, longest ${longest}`
}

/**
 * How an answer went, in one line below it.
 *
 * @param {import('./run.js').Run} run
 * @param {string} transport
 */
export function describeRun(run, transport) {
  const { ttftMs, tokens, tokensPerSecond } = run.figures()
  const parts = [
    ttftMs === undefined ? '' : `first token ${duration(ttftMs)}`,
    `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
    perSecond(tokensPerSecond) === '–' ? '' : `${perSecond(tokensPerSecond)} a second`,
    transport
  ]
  return parts.filter(Boolean).join(' · ')
}
