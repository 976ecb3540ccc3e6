// The settings above the conversation: the key, which only this module holds, and what may be chosen with it.
import { jsonHeaders } from './ask.js'
import { Failure, readFailure, remedyOf, toFailure } from './failure.js'
import { chosen, find } from './page.js'

/** A key is pasted as a whole, or typed letter by letter: it is tried when it has been quiet for so long. */
const QUIET_MS = 350

/** What a header can carry; fetch throws the same error for anything else as for a network that is gone. */
const SENDABLE = /^[\x21-\x7e]+$/

/** @typedef {import('./snippets.js').TransportName} TransportName */

/**
 * @typedef {object} Settings
 * @property {() => string} key
 * @property {() => string | undefined} model undefined while none is known
 * @property {() => TransportName} transport
 * @property {() => number | undefined} limit
 * @property {() => void} focusKey
 */

/**
 * @param {string} base where the gateway is
 * @param {() => void} onChange
 * @returns {Settings}
 */
export function createSettings(base, onChange) {
  const key = find('#key', HTMLInputElement)
  const model = find('#model', HTMLSelectElement)
  const limit = find('#limit', HTMLInputElement)
  const loadModels = createLoader(base, key, model, onChange)
  let timer = 0
  key.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(loadModels, QUIET_MS)
  })
  for (const element of [model, limit]) element.addEventListener('input', onChange)
  for (const radio of document.querySelectorAll('input[name="transport"]')) radio.addEventListener('change', onChange)
  limit.addEventListener('input', () => {
    limit.value = limit.value.replace(/\D/g, '').slice(0, 7)
  })
  return {
    key: () => key.value.trim(),
    model: () => (model.disabled ? undefined : model.value),
    transport: () => /** @type {TransportName} */ (chosen('transport')),
    limit: () => (Number(limit.value) > 0 ? Number(limit.value) : undefined),
    focusKey: () => key.focus()
  }
}

/**
 * @param {string} base
 * @param {HTMLInputElement} key
 * @param {HTMLSelectElement} model
 * @param {() => void} onChange
 */
function createLoader(base, key, model, onChange) {
  const note = find('#key-note', HTMLElement)
  const usual = note.textContent ?? ''
  let controller = new AbortController()
  return async () => {
    controller.abort()
    controller = new AbortController()
    const { signal } = controller
    const value = key.value.trim()
    try {
      const names = value === '' ? [] : await listModels(base, value, signal)
      showModels(model, names)
      show(names.length > 0 || value === '' ? '' : 'This key may use no model.')
    } catch (cause) {
      if (signal.aborted) return
      const failure = toFailure(cause)
      showModels(model, [])
      show(`${failure.message} ${remedyOf(failure)}`)
    }
    onChange()
  }
  /** @param {string} problem */
  function show(problem) {
    note.textContent = problem || usual
    note.classList.toggle('bad', problem !== '')
    key.setAttribute('aria-invalid', String(problem !== ''))
  }
}

/**
 * @param {string} base
 * @param {string} key
 * @param {AbortSignal} signal
 * @returns {Promise<string[]>}
 */
async function listModels(base, key, signal) {
  if (!SENDABLE.test(key)) {
    throw new Failure({ code: 'invalid_api_key', message: 'A key has no spaces and no letters outside ASCII.' })
  }
  const response = await fetch(`${base}v1/models`, { headers: jsonHeaders(key), cache: 'no-store', signal })
  if (!response.ok) throw await readFailure(response)
  const { data } = /** @type {{ data: { id: string }[] }} */ (await response.json())
  return data.map(({ id }) => id)
}

/**
 * @param {HTMLSelectElement} select
 * @param {readonly string[]} names
 */
function showModels(select, names) {
  const before = select.value
  select.replaceChildren(...(names.length > 0 ? names : ['—']).map((name) => new Option(name, name)))
  if (names.includes(before)) select.value = before
  select.disabled = names.length === 0
}
