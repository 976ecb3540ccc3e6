import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHROMIUM, launchChromium, openPage } from '../helpers/chromium.ts'
import { KEY, MODEL, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { NGINX, startNginx } from '../helpers/nginx.ts'
import { isMissing } from '../helpers/program.ts'

const TRANSPORTS = ['sse', 'websocket', 'event-source'] as const
const QUESTION = 'Tell me of rivers.'
const ENDLESS = '2000'

let gateway: TestGateway
let browser: Browser

const engine = () => {
  const [first] = gateway.engines
  if (first === undefined) throw new Error('there is no engine')
  return first
}

/** The answer of the newest turn. */
const answerOf = (page: Page) => page.locator('.turn').last().locator('.answer')

async function ready(page: Page, transport = 'sse', limit = '40'): Promise<void> {
  await page.getByLabel('API key').fill(KEY)
  await page.getByLabel('Model').and(page.locator(':enabled')).waitFor()
  await page.getByRole('radio', { name: NAMES[transport] ?? '' }).check()
  await page.getByLabel('Max tokens').fill(limit)
}
const NAMES: Record<string, string> = { sse: 'SSE', websocket: 'WebSocket', 'event-source': 'EventSource' }

async function ask(page: Page, question = QUESTION): Promise<void> {
  await page.getByLabel('Message').fill(question)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** Runs in the page: counts how often an answer grows. */
const WATCH = `
  window.growths = 0
  new MutationObserver((changes) => {
    window.growths += changes.filter(({ target }) => target.className === 'answer').length
  }).observe(document.querySelector('#turns'), { childList: true, subtree: true })`

/** Runs in the page: writes down what its live region says. */
const LISTEN = `
  window.said = []
  const announcer = document.querySelector('#announcer')
  new MutationObserver(() => window.said.push(announcer.textContent)).observe(announcer, { childList: true })`

const untilOver = (page: Page) => page.locator('.turn').last().and(page.locator(':not([aria-busy])')).waitFor()

/** A turn has some words on the page. */
const untilWritten = (page: Page, length = 40) =>
  until('the answer has begun', async () => ((await answerOf(page).textContent()) ?? '').length > length)

const remedy = 'install Chromium (Debian: apt-get install chromium)'
describe.skipIf(isMissing(CHROMIUM, 'tests of the console in a real browser', remedy))(
  'the console in Chromium',
  () => {
    beforeAll(async () => {
      browser = await launchChromium()
      gateway = await startGateway({
        engines: [{ pace: { prefillOverheadMs: 20, prefillPerTokenMs: 0, interTokenMs: 12 } }],
        config: { console: true },
        pool: { models: [{ name: MODEL, maxOutputTokens: 2_000 }] }
      })
    })
    afterAll(async () => {
      await browser.close()
      await gateway[Symbol.asyncDispose]()
    })

    it.each(TRANSPORTS)('streams by %s, counts the tokens, and breaks no rule of its policy', async (transport) => {
      await using open = await openPage(browser, gateway.address)
      const { page, complaints } = open
      await ready(page, transport)
      await page.evaluate(WATCH)
      await ask(page)
      await untilOver(page)
      // frames, not tokens: several tokens may come between two of them
      expect(await page.evaluate<number>('window.growths')).toBeGreaterThan(4)
      expect(await page.locator('#tokens').textContent()).toBe('40')
      expect(await page.locator('#ttft').textContent()).toMatch(/^[\d.]+ m?s$/)
      expect(await page.locator('#plot').getAttribute('aria-label')).toMatch(/median [\d.]+ ms/)
      expect(await page.locator('#judgement').getAttribute('data-verdict')).toBe('live')
      expect(complaints).toEqual([])
    })

    it.each(TRANSPORTS)('stops in the middle of an answer by %s, and the engine stops, too', async (transport) => {
      await using open = await openPage(browser, gateway.address)
      const { page, complaints } = open
      const aborted = engine().stats.aborted
      await ready(page, transport, ENDLESS)
      await ask(page)
      await untilWritten(page)
      await page.getByRole('button', { name: 'Stop' }).click()
      await until('the engine notices', () => engine().stats.aborted === aborted + 1 && engine().stats.running === 0)
      await untilOver(page)
      expect(await page.locator('.colophon').textContent()).toMatch(/^Stopped\. first token/)
      expect(complaints).toEqual([])
    })

    it('frees the engine when its tab is closed', async () => {
      const aborted = engine().stats.aborted
      {
        await using open = await openPage(browser, gateway.address)
        await ready(open.page, 'sse', ENDLESS)
        await ask(open.page)
        await untilWritten(open.page)
      }
      await until('the engine notices', () => engine().stats.aborted === aborted + 1)
    })

    it('picks an answer up again after a reload, without a key and without a second generation', async () => {
      await using open = await openPage(browser, gateway.address)
      const { page, complaints } = open
      const { requests, aborted } = engine().stats
      await ready(page, 'event-source', '150')
      await ask(page)
      await untilWritten(page)
      const before = (await answerOf(page).textContent()) ?? ''
      await page.reload()
      await untilWritten(page)
      expect(await page.locator('.question').textContent()).toBe(QUESTION)
      await untilOver(page)
      const after = (await answerOf(page).textContent()) ?? ''
      expect(after.startsWith(before)).toBe(true)
      expect(await page.locator('.colophon').textContent()).toMatch(/^\d+ tokens · EventSource, resumed$/)
      expect(await page.locator('#judgement').isHidden()).toBe(true)
      expect(await page.getByLabel('API key').inputValue()).toBe('')
      expect([engine().stats.requests, engine().stats.aborted]).toEqual([requests + 1, aborted])
      await page.reload()
      expect(await page.locator('.turn').count()).toBe(0)
      expect(complaints).toEqual([])
    })

    it('stops a stream that it picked up after a reload', async () => {
      await using open = await openPage(browser, gateway.address)
      const { page } = open
      const { aborted } = engine().stats
      await ready(page, 'event-source', ENDLESS)
      await ask(page)
      await untilWritten(page)
      await page.reload()
      await untilWritten(page)
      await page.keyboard.press('Escape')
      await until('the engine notices', () => engine().stats.aborted === aborted + 1)
    })

    it('asks with what was said before, and forgets it in a new conversation', async () => {
      await using open = await openPage(browser, gateway.address)
      const { page } = open
      await ready(page)
      await ask(page, 'First')
      await untilOver(page)
      await ask(page, 'Second')
      await untilOver(page)
      const sent = engine().stats.recent.at(-1)?.body as { messages: { role: string; content: string }[] }
      expect(sent.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
      expect(sent.messages[1]?.content).toBe(await page.locator('.answer').first().textContent())
      await page.getByRole('button', { name: 'New conversation' }).click()
      expect(await page.locator('.turn').count()).toBe(0)
    })

    it('names an error by its code, with the request’s id, and says what to do', async () => {
      await using open = await openPage(browser, gateway.address)
      const { page } = open
      await ready(page)
      engine().setFaults([{ kind: 'reset', afterTokens: 5 }])
      await ask(page, 'Fails')
      await untilOver(page)
      engine().setFaults([])
      const failure = await page.locator('.failure').innerText()
      expect(failure).toMatch(/^upstream_error The engine failed while it answered\.\s+Send again\./)
      expect(failure).toMatch(/request req_[\w-]+$/)
      expect(await page.locator('#announcer').textContent()).toContain('The answer failed')
    })

    it('tells a wrong key at once, and never shows or stores a right one', async () => {
      await using open = await openPage(browser, gateway.address)
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

    it('takes whatever a model writes for text, never for markup', async () => {
      await using open = await openPage(browser, gateway.address)
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
      await using open = await openPage(browser, gateway.address)
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
        for (const part of [sign, gateway.address, MODEL, '40', 'SLUICE_KEY']) expect(text).toContain(part)
        expect(text).not.toContain(KEY)
      }
    })

    it('can be used by the keyboard alone', async () => {
      await using open = await openPage(browser, gateway.address)
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
      const aborted = engine().stats.aborted
      await keyboard.press('Enter')
      await untilWritten(page)
      expect(await page.locator('.question').textContent()).toBe('Line one\nand two')
      expect(await focused()).toBe('message')
      await keyboard.press('Escape')
      await until('the engine notices', () => engine().stats.aborted === aborted + 1)
      expect(await page.locator('#announcer').textContent()).toMatch(/^Stopped after \d+ tokens/)
    })

    it('tells a screen reader how an answer goes, and not each token', async () => {
      await using open = await openPage(browser, gateway.address)
      const { page } = open
      await page.evaluate(LISTEN)
      await ready(page)
      await ask(page)
      await untilOver(page)
      const said = await page.evaluate<string[]>('window.said')
      expect(said.map((line) => line.trim())).toEqual([
        'Waiting for the first token.',
        'The answer has begun.',
        'The answer is complete after 40 tokens.'
      ])
      expect(await page.locator('.turns [aria-live], .turns [role=log], .turns [role=status]').count()).toBe(0)
    })

    it.each(['light', 'dark'] as const)('has no barrier that axe finds, in %s', async (colorScheme) => {
      await using open = await openPage(browser, gateway.address, { colorScheme })
      const { page } = open
      await ready(page)
      await ask(page)
      await untilOver(page)
      engine().setFaults([{ kind: 'reset', afterTokens: 5 }])
      await ask(page)
      await untilOver(page)
      engine().setFaults([])
      await page.evaluate(readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8'))
      const { violations, passes } = await page.evaluate<AxeResults>('axe.run()')
      expect(passes.map(({ id }) => id)).toContain('color-contrast')
      expect(violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => String(target))])).toEqual([])
    })

    const nginxRemedy = 'install nginx (Debian: apt-get install nginx-light)'
    it.skipIf(isMissing(NGINX, 'the console behind a buffering nginx', nginxRemedy))(
      'names a proxy that buffers, and none where it does not',
      async () => {
        const buffering = {
          proxy_buffering: 'on',
          proxy_http_version: '1.0',
          proxy_ignore_headers: 'X-Accel-Buffering',
          proxy_buffers: '8 256k',
          proxy_buffer_size: '256k'
        }
        for (const [directives, verdict] of [
          [buffering, 'held'],
          [{ proxy_buffering: 'off', proxy_http_version: '1.1' }, 'live']
        ] as const) {
          await using nginx = await startNginx(gateway.address, directives, '/')
          await using open = await openPage(browser, nginx.address)
          const { page } = open
          await ready(page, 'sse', '60')
          await ask(page)
          await untilOver(page)
          expect(await page.locator('#judgement').getAttribute('data-verdict')).toBe(verdict)
          const said = await page.locator('#judgement').innerText()
          if (verdict === 'held') expect(said).toMatch(/is buffering the answer\. The gateway sent it over .* late/)
          else expect(said).toContain('Nothing on the way is buffering')
        }
      }
    )
  }
)
