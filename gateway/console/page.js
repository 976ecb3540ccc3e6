// The page's elements, found once and typed: one that is missing is a defect, and said so at the start.

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function find(selector, type) {
  const found = document.querySelector(selector)
  if (found instanceof type) return found
  throw new Error(`the page has no ${selector}`)
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {(Node | string)[]} inside texts become text nodes, never markup
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className = '', ...inside) {
  const element = document.createElement(tag)
  if (className !== '') element.className = className
  element.append(...inside)
  return element
}

/**
 * The value of the radio button that is chosen.
 *
 * @param {string} name
 */
export function chosen(name) {
  return find(`input[name="${name}"]:checked`, HTMLInputElement).value
}

/** A polite announcement for screen readers; saying the same twice in a row is heard twice. */
export function announce(/** @type {string} */ text) {
  const announcer = find('#announcer', HTMLElement)
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text
}
