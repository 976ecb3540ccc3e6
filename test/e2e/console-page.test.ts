import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openPage } from '../helpers/chromium.ts'
import { serveEngine } from '../helpers/engine-server.ts'
import { KEY, MODEL, startGateway, until } from '../helpers/gateway.ts'
import {
  answerOf,
  ask,
  ENDLESS,
  LACKS_CHROMIUM,
  ready,
  startVisit,
  untilOver,
  untilWritten,
  type Visit
} from '../helpers/visit.ts'

/** Runs in the page: writes down what its live region says. */
const LISTEN = `
  window.said = []
  const announcer = document.querySelector('#announcer')
  new MutationObserver(() => window.said.push(announcer.textContent)).observe(announcer, { childList: true })`

let visit: Visit
beforeAll(async () => {
  if (!LACKS_CHROMIUM) visit = await startVisit()
})
afterAll(() => visit?.[Symbol.asyncDispose]())
beforeEach(() => visit?.engine.setFaults([]))

describe.skipIf(LACKS_CHROMIUM)('the console as a page', () => {
  it('tells a wrong key at once, and never shows or stores a right one', async () => {
    await using open = await visit.open()
    const { page } = open
    await page.getByLabel('API key').fill('sk-wrong')
    await page.getByText('The API key is not known here.').waitFor()
    expect(await page.getByLabel('API key').getAttribute('aria-invalid')).toBe('true')
    await ready(page)
    await ask(page)
    await untilOver(page)
    const kept = await page.evaluate<string>('JSON.stringify([localStorage, sessionStorage, document.cookie])')
    expect(`${kept} ${await page.locator('body').innerText()} ${page.url()}`).not.toContain(KEY)
    await page.reload()
    expect(await page.getByLabel('API key').inputValue()).toBe('')
  })

  it('tells of a key that no header can carry, and does not blame the network', async () => {
    await using open = await visit.open()
    const { page } = open
    await page.getByLabel('API key').fill('sk-…')
    await until('it is told', async () => (await page.locator('#key-note.bad').count()) === 1)
    expect(await page.locator('#key-note').innerText()).toMatch(/^A key has no spaces and no letters outside ASCII/)
  })

  it('shows no key that a WebSocket can’t carry', async () => {
    await using open = await visit.open()
    const { page } = open
    // somebody else's key may have a slash or a sign of equality, which a subprotocol may not
    await page.route('**/v1/models', (route) => route.fulfill({ json: { data: [{ id: MODEL }] } }))
    await page.getByLabel('API key').fill('sk-a/b==')
    await page.getByLabel('Model').and(page.locator(':enabled')).waitFor()
    await page.getByRole('radio', { name: 'WebSocket', exact: true }).check()
    await ask(page)
    await untilOver(page)
    expect(await page.locator('.failure').innerText()).toMatch(/^key_not_sendable/)
    expect(await page.locator('body').innerText()).not.toContain('sk-a/b==')
  })

  it('takes whatever a model thinks and writes for text, never for markup', async () => {
    const hostile = '<img src=x onerror=alert(1)><script>alert(2)</script>'
    await using model = await serveEngine((response, { path }) => {
      if (path === '/health') return void response.end()
      response.setHeader('content-type', 'text/event-stream')
      for (const delta of [{ reasoning: `Hm, ${hostile}` }, { reasoning_content: '?' }, { content: hostile }])
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`)
      const last = { choices: [{ index: 0, delta: {}, finish_reason: 'length' }] }
      response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`)
    })
    await using written = await startGateway({ engines: [], urls: [model.origin], config: { console: true } })
    await using open = await openPage(visit.browser, written.address)
    const { page, complaints } = open
    await ready(page)
    await ask(page)
    await untilOver(page)
    expect(await answerOf(page).textContent()).toBe(hostile)
    expect(await page.locator('.reasoning div').textContent()).toBe(`Hm, ${hostile}?`)
    expect(await page.locator('.colophon').textContent()).toMatch(/^The answer was cut at the output limit\./)
    expect(await page.locator('.turns img, .turns script').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  it('takes a question for text, never for markup', async () => {
    await using open = await visit.open()
    const { page, complaints } = open
    await ready(page)
    const hostile = '<img src=x onerror=alert(1)><script>alert(2)</script>'
    await ask(page, hostile)
    await untilOver(page)
    expect(await page.locator('.question').textContent()).toBe(hostile)
    expect(await page.locator('.turns img, .turns script').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  it('writes the request as code, without the key', async () => {
    await using open = await visit.open()
    const { page } = open
    await ready(page)
    await page.getByLabel('Message').fill("It's raining")
    const code = page.locator('#code')
    for (const [language, sign] of [
      ['curl', 'curl -N'],
      ['JavaScript', 'new OpenAI('],
      ['Python', 'OpenAI(base_url=']
    ] as const) {
      await page.getByRole('radio', { name: language }).check()
      const text = (await code.textContent()) ?? ''
      for (const part of [sign, visit.gateway.address, MODEL, '40', 'SLUICE_KEY']) expect(text).toContain(part)
      expect(text).not.toContain(KEY)
    }
  })

  it('can be used by the keyboard alone', async () => {
    await using open = await visit.open()
    const { page } = open
    const { keyboard } = page
    const focused = () => page.evaluate<string>('document.activeElement.id || document.activeElement.value')
    expect(await focused()).toBe('key')
    await keyboard.type(KEY)
    await page.getByLabel('Model').and(page.locator(':enabled')).waitFor()
    const path = []
    for (let step = 0; step < 5; step++) {
      await keyboard.press('Tab')
      path.push(await focused())
    }
    expect(path).toEqual(['model', 'sse', 'limit', 'scroller', 'message'])
    await keyboard.type('Line one')
    await keyboard.press('Shift+Enter')
    await keyboard.type('and two')
    const aborted = visit.engine.stats.aborted
    visit.engine.setFaults(ENDLESS)
    await keyboard.press('Enter')
    await untilWritten(page)
    expect(await page.locator('.question').textContent()).toBe('Line one\nand two')
    expect(await focused()).toBe('message')
    await keyboard.press('Escape')
    await until('the engine notices', () => visit.engine.stats.aborted === aborted + 1)
    await untilOver(page)
    expect(await page.locator('#announcer').textContent()).toMatch(/^Stopped after \d+ tokens/)
  })

  it('tells a screen reader how an answer goes, and not each token', async () => {
    await using open = await visit.open()
    const { page } = open
    await page.evaluate(LISTEN)
    await ready(page)
    const wanted = ['Waiting for the first token.', 'The answer has begun.', 'The answer is complete after 40 tokens.']
    let said: string[] = []
    // a browser that gets no processor for a while has begun and end at once, or a verdict to tell
    for (let tries = 0; tries < 5 && String(said) !== String(wanted); tries++) {
      await page.evaluate('window.said = []')
      await ask(page)
      await untilOver(page)
      said = (await page.evaluate<string[]>('window.said')).map((line) => line.trim())
    }
    expect(said).toEqual(wanted)
    expect(await page.locator('.turns [aria-live], .turns [role=log], .turns [role=status]').count()).toBe(0)
  })

  it.each(['light', 'dark'] as const)('has no barrier that axe finds, in %s', async (colorScheme) => {
    await using open = await visit.open({ colorScheme })
    const { page } = open
    await ready(page)
    await ask(page)
    await untilOver(page)
    visit.engine.setFaults([{ kind: 'reset', afterTokens: 5 }])
    await ask(page)
    await untilOver(page)
    visit.engine.setFaults([])
    await page.evaluate(readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8'))
    const { violations, passes } = await page.evaluate<AxeResults>('axe.run()')
    expect(passes.map(({ id }) => id)).toContain('color-contrast')
    expect(violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => String(target))])).toEqual([])
  })
})
