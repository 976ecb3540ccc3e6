// The plot of the gaps between tokens: a line up for each, like the trace of a seismograph.
import { gapsOf } from './figures.js'
import { find } from './page.js'
import uPlot from './uplot.js'

const HEIGHT_PX = 150
const FONT = '11px ui-sans-serif, system-ui, sans-serif'

const colour = (/** @type {string} */ name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** @typedef {{ show(arrivalsMs: readonly number[]): void, describe(text: string): void }} GapPlot */

/** @returns {GapPlot} */
export function createPlot() {
  const place = find('#plot', HTMLElement)
  /** @type {readonly number[]} */
  let shown = []
  let plot = draw(place)
  const show = () => plot.setData([shown.slice(1).map((ms) => ms / 1000), gapsOf(shown)])
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT_PX })).observe(place)
  // a canvas does not follow the theme by itself
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    plot.destroy()
    plot = draw(place)
    show()
  })
  return {
    show(arrivalsMs) {
      shown = arrivalsMs
      show()
    },
    describe: (text) => place.setAttribute('aria-label', `Inter-token latency: ${text}`)
  }
}

/** @param {HTMLElement} place */
function draw(place) {
  const axis = {
    stroke: colour('--soft'),
    font: FONT,
    ticks: { show: false },
    grid: { stroke: colour('--line'), width: 1 }
  }
  const options = {
    width: place.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    padding: /** @type {[number, number, number, number]} */ ([6, 8, 0, 0]),
    scales: {
      x: { time: false, range: xRange },
      y: { range: yRange }
    },
    axes: [
      { ...axis, size: 24, grid: { show: false }, space: 60 },
      { ...axis, size: 36, space: 32 }
    ],
    series: [{}, { stroke: colour('--accent'), width: 1.25, paths: drawSpikes, points: { show: false } }]
  }
  return new uPlot(options, [[], []], place)
}

/** From the request on, so that the wait for the first token shows as what it is: empty. */
function xRange(/** @type {unknown} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) {
  return /** @type {[number, number]} */ ([0, Math.max(high ?? 0, 0.5)])
}

function yRange(/** @type {unknown} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) {
  return /** @type {[number, number]} */ ([0, Math.max((high ?? 0) * 1.1, 20)])
}

/**
 * A line from the axis up to each gap.
 *
 * @param {uPlot} plot
 * @param {number} series
 * @param {number} first
 * @param {number} last
 */
function drawSpikes(plot, series, first, last) {
  const stroke = new Path2D()
  const floor = plot.valToPos(0, 'y', true)
  for (let at = first; at <= last; at++) {
    const x = plot.valToPos(plot.data[0][at] ?? 0, 'x', true)
    stroke.moveTo(x, floor)
    stroke.lineTo(x, plot.valToPos(plot.data[series]?.[at] ?? 0, 'y', true))
  }
  return { stroke }
}
