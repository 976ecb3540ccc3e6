// The console: wires settings, conversation, measurements and code together, and runs one answer after the other.
import { createBody } from './ask.js'
import { createCode } from './code.js'
import { Conversation } from './conversation.js'
import { find } from './page.js'
import { createSettings } from './settings.js'

const base = new URL('.', document.baseURI).href
const message = find('#message', HTMLTextAreaElement)
const send = find('#send', HTMLButtonElement)
const renew = find('#renew', HTMLButtonElement)

const settings = createSettings(base, () => code.update())
const code = createCode(() => {
  const messages = conversation.messagesWith(message.value.trim())
  const body = createBody(settings.model() ?? 'MODEL', messages, settings.limit())
  return { transport: settings.transport(), request: { origin: base.replace(/\/$/, ''), body } }
})
const conversation = new Conversation(base, settings, (isRunning) => {
  send.textContent = isRunning ? 'Stop' : 'Send'
  send.classList.toggle('stop', isRunning)
  renew.hidden = isRunning || conversation.isEmpty
  find('#welcome', HTMLElement).hidden = !conversation.isEmpty
  code.update()
})

function submit() {
  const question = message.value.trim()
  if (question === '') return message.focus()
  if (settings.key() === '') return settings.focusKey()
  if (settings.model() === undefined) return settings.focusKey()
  message.value = ''
  message.focus()
  conversation.ask(question)
}

find('#composer', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault()
  if (conversation.isRunning) conversation.stop()
  else submit()
})

message.addEventListener('keydown', (event) => {
  // Enter also ends a composition in an input method, and must not send then
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  if (!conversation.isRunning) submit()
})
message.addEventListener('input', () => code.update())

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') conversation.stop()
})

renew.addEventListener('click', () => {
  conversation.clear()
  message.focus()
})

code.update()
if (!conversation.resume()) settings.focusKey()
