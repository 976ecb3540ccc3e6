// Drives a real Chromium, headless, over a page; everything that the page's policy forbids is written down.
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { findProgram } from './program.ts'

export const CHROMIUM = findProgram('chromium', 'chromium-browser', 'google-chrome')

/** A browser speaks to the page under test and to nobody else. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

/** One page in a browser context of its own. */
export interface OpenPage extends AsyncDisposable {
  readonly page: Page
  /** What the content security policy stopped, and what the page's scripts threw or complained of, a line each. */
  readonly complaints: string[]
}

/** Starts Chromium with a profile of its own, which goes with it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM ?? 'chromium', headless: true, args: FLAGS })
}

/** Opens `address` in a new context: no storage, no cache. */
export async function openPage(
  browser: Browser,
  address: string,
  options: BrowserContextOptions = {}
): Promise<OpenPage> {
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`threw ${error.message}`))
  page.on('console', (message) => {
    // a refused request is told of on the page; Chromium logs its status, too
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text())
  })
  await page.goto(address)
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() }
}
