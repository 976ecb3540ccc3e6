// One turn of the conversation on the page: the question, the answer as it grows, how it went.
import { remedyOf } from './failure.js'
import { find, make } from './page.js'

/** How far from its end a reader may have scrolled for the page to go on following the answer, in px. */
const FOLLOW_WITHIN_PX = 64

/**
 * @param {string} question
 * @param {string} model
 */
export function createTurn(question, model) {
  const answer = make('div', 'answer')
  const item = make(
    'li',
    'turn',
    make('h2', 'who', 'You'),
    make('p', 'question', question),
    make('h2', 'who', model),
    answer
  )
  item.setAttribute('aria-busy', 'true')
  find('#turns', HTMLElement).append(item)
  const reasoning = createReasoning(answer)
  follow(true)
  return {
    /** @param {{ text: string, reasoning: string }} run */
    grow(run) {
      const isFollowed = isAtEnd()
      reasoning.grow(run)
      appendRest(answer, run.text)
      follow(isFollowed)
    },
    /**
     * @param {string} colophon
     * @param {import('./failure.js').Failure} [failure]
     */
    end(colophon, failure) {
      const isFollowed = isAtEnd()
      item.removeAttribute('aria-busy')
      if (failure !== undefined) item.append(describe(failure))
      if (colophon !== '') item.append(make('p', 'colophon', colophon))
      follow(isFollowed)
    }
  }
}

/**
 * Text that is not there yet is added as a text node: what stands already keeps its selection.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function appendRest(element, text) {
  const shown = Number(element.dataset.shown ?? 0)
  if (text.length > shown) element.append(text.slice(shown))
  element.dataset.shown = String(text.length)
}

/**
 * What a model thinks stands above its answer, and folds away once that begins.
 *
 * @param {HTMLElement} answer
 */
function createReasoning(answer) {
  const inside = make('div')
  const details = make('details', 'reasoning', make('summary', '', 'Reasoning'), inside)
  return {
    /** @param {{ text: string, reasoning: string }} run */
    grow({ text, reasoning }) {
      if (reasoning === '') return
      if (!details.isConnected) {
        details.open = text === ''
        answer.before(details)
      }
      if (text !== '' && answer.textContent === '') details.open = false
      appendRest(inside, reasoning)
    }
  }
}

/** @param {import('./failure.js').Failure} failure */
function describe(failure) {
  const { code, message, status, requestId } = failure
  const origin = [status === undefined ? '' : `HTTP ${status}`, requestId === undefined ? '' : `request ${requestId}`]
  const box = make(
    'div',
    'failure',
    make('p', '', make('code', '', code), ` ${message}`),
    make('p', '', remedyOf(failure))
  )
  if (origin.join('') !== '') box.append(make('p', 'origin', origin.filter(Boolean).join(' · ')))
  return box
}

/** A wide page scrolls the conversation, a narrow one scrolls as a whole. */
function scrolling() {
  const scroller = find('#scroller', HTMLElement)
  return getComputedStyle(scroller).overflowY === 'auto' ? scroller : undefined
}

function isAtEnd() {
  const scroller = scrolling()
  if (scroller === undefined) {
    const last = find('#turns', HTMLElement).lastElementChild
    return (last?.getBoundingClientRect().bottom ?? 0) - innerHeight < FOLLOW_WITHIN_PX
  }
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < FOLLOW_WITHIN_PX
}

/** @param {boolean} isFollowed */
function follow(isFollowed) {
  if (!isFollowed) return
  const scroller = scrolling()
  if (scroller !== undefined) scroller.scrollTop = scroller.scrollHeight
  else find('#turns', HTMLElement).lastElementChild?.scrollIntoView({ block: 'end' })
}
