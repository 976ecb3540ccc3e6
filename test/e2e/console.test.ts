import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openPage } from '../helpers/chromium.ts'
import { until } from '../helpers/gateway.ts'
import { NGINX, startNginx } from '../helpers/nginx.ts'
import { isMissing } from '../helpers/program.ts'
import {
  answerOf,
  ask,
  ENDLESS,
  LACKS_CHROMIUM,
  QUESTION,
  ready,
  startVisit,
  TRANSPORTS,
  untilOver,
  untilWritten,
  type Visit
} from '../helpers/visit.ts'

/** Runs in the page: counts how often an answer grows. */
const WATCH = `
  window.growths = 0
  new MutationObserver((changes) => {
    window.growths += changes.filter(({ target }) => target.className === 'answer').length
  }).observe(document.querySelector('#turns'), { childList: true, subtree: true })`

let visit: Visit
beforeAll(async () => {
  if (!LACKS_CHROMIUM) visit = await startVisit()
})
afterAll(() => visit?.[Symbol.asyncDispose]())
beforeEach(() => visit?.engine.setFaults([]))

describe.skipIf(LACKS_CHROMIUM)('an answer on the console', () => {
  it.each(TRANSPORTS)('streams by %s, counts the tokens, and breaks no rule of its policy', async (transport) => {
    await using open = await visit.open()
    const { page, complaints } = open
    await ready(page, transport)
    await page.evaluate(WATCH)
    const verdict = () => page.locator('#judgement').getAttribute('data-verdict')
    const growths = () => page.evaluate<number>('window.growths')
    const isFine = async () => (await verdict()) === 'live' && (await growths()) > 4
    // a browser that gets no processor for a while draws little, and holds words up as a proxy does
    for (let tries = 0; tries === 0 || (tries < 5 && !(await isFine())); tries++) {
      await page.evaluate('window.growths = 0')
      await ask(page)
      await untilOver(page)
    }
    // frames, not tokens: several tokens may come between two of them
    expect(await growths()).toBeGreaterThan(4)
    expect(await page.locator('#tokens').textContent()).toBe('40')
    expect(await page.locator('#ttft').textContent()).toMatch(/^[\d.]+ m?s$/)
    expect(await page.locator('#plot').getAttribute('aria-label')).toMatch(/median [\d.]+ ms/)
    expect(await verdict()).toBe('live')
    expect(complaints).toEqual([])
  })

  it.each(TRANSPORTS)('stops in the middle of an answer by %s, and the engine stops, too', async (transport) => {
    await using open = await visit.open()
    const { page, complaints } = open
    const aborted = visit.engine.stats.aborted
    visit.engine.setFaults(ENDLESS)
    await ready(page, transport)
    await ask(page)
    await untilWritten(page)
    await page.getByRole('button', { name: 'Stop' }).click()
    await until(
      'the engine notices',
      () => visit.engine.stats.aborted === aborted + 1 && visit.engine.stats.running === 0
    )
    await untilOver(page)
    expect(await page.locator('.colophon').textContent()).toMatch(/^Stopped\. first token/)
    expect(complaints).toEqual([])
  })

  it('frees the engine when its tab is closed', async () => {
    const aborted = visit.engine.stats.aborted
    {
      await using open = await visit.open()
      visit.engine.setFaults(ENDLESS)
      await ready(open.page)
      await ask(open.page)
      await untilWritten(open.page)
    }
    await until('the engine notices', () => visit.engine.stats.aborted === aborted + 1)
  })

  it('picks an answer up again after a reload, without a key and without a second generation', async () => {
    await using open = await visit.open()
    const { page, complaints } = open
    const { requests, aborted } = visit.engine.stats
    // it goes on once the page has had the time for a reload
    visit.engine.setFaults([{ kind: 'stall', afterTokens: 30, ms: 6_000 }])
    await ready(page, 'EventSource', '150')
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
    expect([visit.engine.stats.requests, visit.engine.stats.aborted]).toEqual([requests + 1, aborted])
    await page.reload()
    expect(await page.locator('.turn').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  it('stops a stream that it picked up after a reload', async () => {
    await using open = await visit.open()
    const { page } = open
    const { aborted } = visit.engine.stats
    visit.engine.setFaults(ENDLESS)
    await ready(page, 'EventSource')
    await ask(page)
    await untilWritten(page)
    await page.reload()
    await untilWritten(page)
    await page.keyboard.press('Escape')
    await until('the engine notices', () => visit.engine.stats.aborted === aborted + 1)
  })

  it('asks with what was said before, and forgets it in a new conversation', async () => {
    await using open = await visit.open()
    const { page } = open
    await ready(page)
    await ask(page, 'First')
    await untilOver(page)
    await ask(page, 'Second')
    await untilOver(page)
    const sent = visit.engine.stats.recent.at(-1)?.body as { messages: { role: string; content: string }[] }
    expect(sent.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(sent.messages[1]?.content).toBe(await page.locator('.answer').first().textContent())
    await page.getByRole('button', { name: 'New conversation' }).click()
    expect(await page.locator('.turn').count()).toBe(0)
  })

  it('names an error by its code, with the request’s id, and says what to do', async () => {
    await using open = await visit.open()
    const { page } = open
    await ready(page)
    visit.engine.setFaults([{ kind: 'reset', afterTokens: 5 }])
    await ask(page, 'Fails')
    await untilOver(page)
    visit.engine.setFaults([])
    const failure = await page.locator('.failure').innerText()
    expect(failure).toMatch(/^upstream_error The engine failed while it answered\.\s+Send again\./)
    expect(failure).toMatch(/request req_[\w-]+$/)
    expect(await page.locator('#announcer').textContent()).toContain('The answer failed')
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
        await using nginx = await startNginx(visit.gateway.address, directives, '/')
        await using open = await openPage(visit.browser, nginx.address)
        const { page } = open
        await ready(page, 'SSE', '60')
        const judgement = page.locator('#judgement')
        let given: string | null = null
        // a browser that gets no processor for a while holds words up as such a proxy does
        for (let tries = verdict === 'live' ? 5 : 1; tries > 0 && given !== verdict; tries--) {
          await ask(page)
          await untilOver(page)
          given = await judgement.getAttribute('data-verdict')
        }
        expect(given).toBe(verdict)
        const said = await judgement.innerText()
        if (verdict === 'held') expect(said).toMatch(/is buffering the answer\. The gateway sent it over .* late/)
        else expect(said).toContain('Nothing on the way is buffering')
      }
    }
  )

  it.skipIf(isMissing(NGINX, 'the console behind an nginx that passes no WebSocket on', nginxRemedy))(
    'names a proxy that passes no WebSocket on',
    async () => {
      await using nginx = await startNginx(visit.gateway.address, { proxy_http_version: '1.1' }, '/')
      await using open = await openPage(visit.browser, nginx.address)
      await ready(open.page, 'WebSocket')
      await ask(open.page)
      await untilOver(open.page)
      expect(await open.page.locator('.failure').innerText()).toMatch(
        /^no_upgrade .*\s+A proxy on the way may not pass/
      )
    }
  )
})
