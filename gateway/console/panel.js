// The measurements beside the conversation: figures, plot, and whether something on the way is buffering.
import { describeJudgement } from './buffering.js'
import { find } from './page.js'
import { createPlot } from './plot.js'

/** @param {number | undefined} ms */
const milliseconds = (ms) => (ms === undefined ? '–' : ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`)

/** @param {number | undefined} rate */
const perSecond = (rate) => (rate === undefined ? '–' : rate < 100 ? rate.toFixed(1) : String(Math.round(rate)))

export function createPanel() {
  const plot = createPlot()
  const cells = Object.fromEntries(
    ['ttft', 'rate', 'tokens', 'median', 'p95', 'longest'].map((id) => [id, find(`#${id}`, HTMLElement)])
  )
  const judgement = find('#judgement', HTMLElement)
  /**
   * @param {string} id
   * @param {string} text
   */
  const set = (id, text) => {
    const cell = cells[id]
    if (cell !== undefined) cell.textContent = text
  }
  return {
    /** @param {import('./run.js').Run} run */
    show(run) {
      const { ttftMs, tokens, tokensPerSecond, medianGapMs, p95GapMs, longestGapMs } = run.figures()
      set('ttft', milliseconds(ttftMs))
      set('rate', perSecond(tokensPerSecond))
      set('tokens', String(tokens))
      set('median', milliseconds(medianGapMs))
      set('p95', milliseconds(p95GapMs))
      set('longest', milliseconds(longestGapMs))
      plot.show(run.arrivalsMs)
    },
    /**
     * @param {import('./run.js').Run} run
     * @returns {string} the headline, where there is something to be told
     */
    judge(run) {
      const { medianGapMs, p95GapMs, longestGapMs } = run.figures()
      plot.describe(
        `median ${milliseconds(medianGapMs)}, 95th percentile ${milliseconds(p95GapMs)}, longest ${milliseconds(longestGapMs)}`
      )
      const found = run.arrivalsMs.length === 0 ? undefined : run.judgement()
      judgement.hidden = found === undefined
      if (found === undefined) return ''
      const isBad = found.verdict === 'held' || found.verdict === 'clumped'
      const { headline, evidence } = describeJudgement(found, run.arrivalsMs.length)
      judgement.classList.toggle('bad', isBad)
      judgement.dataset.verdict = found.verdict
      find('#headline', HTMLElement).textContent = headline
      find('#evidence', HTMLElement).textContent = evidence
      return isBad ? headline : ''
    },
    clear() {
      judgement.hidden = true
    }
  }
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
    ttftMs === undefined ? '' : `first token ${milliseconds(ttftMs)}`,
    `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
    tokensPerSecond === undefined ? '' : `${perSecond(tokensPerSecond)} a second`,
    transport
  ]
  return parts.filter(Boolean).join(' · ')
}
