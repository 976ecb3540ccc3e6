// The request as code, kept in step with the settings and the message, and copied on demand.
import { announce, chosen, find } from './page.js'
import { languagesOf, writeSnippet } from './snippets.js'

/** @typedef {import('./snippets.js').Language} Language */

/** @param {() => { transport: import('./snippets.js').TransportName, request: import('./snippets.js').Request }} current */
export function createCode(current) {
  const code = find('#code', HTMLElement)
  const radios = [...document.querySelectorAll('input[name="language"]')].filter(
    (node) => node instanceof HTMLInputElement
  )
  const update = () => {
    const { transport, request } = current()
    const languages = languagesOf(transport)
    for (const radio of radios) radio.disabled = !languages.includes(/** @type {Language} */ (radio.value))
    const wanted = radios.find((radio) => radio.checked && !radio.disabled) ?? radios.find((radio) => !radio.disabled)
    if (wanted !== undefined) wanted.checked = true
    code.textContent = writeSnippet(transport, /** @type {Language} */ (chosen('language')), request)
  }
  for (const radio of radios) radio.addEventListener('change', update)
  find('#copy', HTMLElement).addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent ?? '')
      announce('Copied.')
    } catch {
      // plain http on another host than localhost has no clipboard: the text is selected, to be copied by hand
      getSelection()?.selectAllChildren(code)
      announce('Selected. Copy it with the keyboard.')
    }
  })
  return { update }
}
