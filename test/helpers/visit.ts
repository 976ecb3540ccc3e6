// A visitor of the console: what somebody does with the page, in a real browser over a gateway of the test's own.
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { CHROMIUM, launchChromium, type OpenPage, openPage } from './chromium.ts'
import { KEY, MODEL, startGateway, type TestGateway, until } from './gateway.ts'
import { isMissing } from './program.ts'

export const LACKS_CHROMIUM = isMissing(
  CHROMIUM,
  'tests of the console in a real browser',
  'install Chromium (Debian: apt-get install chromium)'
)

export const TRANSPORTS = ['SSE', 'WebSocket', 'EventSource'] as const
export const QUESTION = 'Tell me of rivers.'
/** An engine that falls silent in the middle: its answer has begun, and is over for whoever stops it only. */
export const ENDLESS = [{ kind: 'stall', afterTokens: 30 }] as const

/** A browser, and a gateway that shows the console over one engine. */
export interface Visit extends AsyncDisposable {
  readonly browser: Browser
  readonly gateway: TestGateway
  readonly engine: SimEngine
  /** Opens the console in a context of its own. */
  open(options?: BrowserContextOptions): Promise<OpenPage>
}

export async function startVisit(): Promise<Visit> {
  const browser = await launchChromium()
  const gateway = await startGateway({
    engines: [{ pace: { prefillOverheadMs: 20, prefillPerTokenMs: 0, interTokenMs: 20 } }],
    config: { console: true },
    pool: { models: [{ name: MODEL, maxOutputTokens: 2_000 }] }
  })
  const [engine] = gateway.engines
  if (engine === undefined) throw new Error('there is no engine')
  return {
    browser,
    gateway,
    engine,
    open: (options) => openPage(browser, gateway.address, options),
    async [Symbol.asyncDispose]() {
      await browser.close()
      await gateway[Symbol.asyncDispose]()
    }
  }
}

/** The settings made, and the models there. */
export async function ready(
  page: Page,
  transport: (typeof TRANSPORTS)[number] = 'SSE',
  limit: string = '40'
): Promise<void> {
  await page.getByLabel('API key').fill(KEY)
  await page.getByLabel('Model').and(page.locator(':enabled')).waitFor()
  await page.getByRole('radio', { name: transport, exact: true }).check()
  await page.getByLabel('Max tokens').fill(limit)
}

export async function ask(page: Page, question = QUESTION): Promise<void> {
  await page.getByLabel('Message').fill(question)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** The newest answer. */
export const answerOf = (page: Page): Locator => page.locator('.turn').last().locator('.answer')

export const untilOver = (page: Page): Promise<void> =>
  page.locator('.turn').last().and(page.locator(':not([aria-busy])')).waitFor()

/** The newest answer has some words. */
export const untilWritten = (page: Page): Promise<void> =>
  until('the answer has begun', async () => ((await answerOf(page).textContent()) ?? '').length > 40)
