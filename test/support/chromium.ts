/** A real browser, one for each test file, and what people who see, hear or move otherwise find wrong with a page. */
import axe, { type AxeResults } from 'axe-core'
import { chromium, type Browser, type Page } from 'playwright-core'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { until } from './wait.ts'

let launched: Promise<Browser> | undefined

/** Chromium without a window, where that is here as a program of its own: the same engine for two thirds of the computing. It has no settings of sites. */
export const browserPath = (): string => programPath('chromium-headless-shell') ?? programPath('chromium')!

/** A page, and what the browser has complained about. */
export interface Tab {
  readonly page: Page
  /** Without what the browser says of answers of 400 and more, and of ports that are closed. */
  readonly complaints: string[]
}

/** Opens a page. @param args  of the browser, which the first call starts */
export async function openTab(url: string, options: Parameters<Browser['newPage']>[0] = {}, args: readonly string[] = []): Promise<Tab> {
  launched ??= chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox', ...args] }).then(browser => {
    onCleanUp(async () => {
      launched = undefined
      await browser.close()
    })
    return browser
  })
  const page = await (await launched).newPage({ locale: 'en', viewport: { width: 1_280, height: 800 }, ...options })
  page.setDefaultTimeout(60_000)
  const complaints: string[] = []
  page.on('console', message => {
    if (!/Failed to load resource|ERR_CONNECTION/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  await page.goto(url)
  return { page, complaints }
}

/** What is needed of what axe finds; the whole is megabytes, most of it about elements that are well. */
interface AxeFindings {
  readonly violations: AxeResults['violations']
  /** Ids of rules. */
  readonly passed: readonly string[]
}

const AXE = `axe.run(document, { preload: false, resultTypes: ['violations'] })
  .then(({ violations, passes }) => ({ violations, passed: passes.map(({ id }) => id) }))`

/** The complaints of axe about the page, light and dark unless something else is said. */
export async function faultsOf(page: Page, schemes: readonly ('light' | 'dark')[] = ['light', 'dark']): Promise<readonly string[]> {
  const faults: string[] = []
  await page.evaluate(axe.source)
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme })
    const { violations, passed } = await page.evaluate<AxeFindings>(AXE)
    if (!passed.includes('color-contrast')) faults.push('axe saw no colours')
    for (const { id, impact, nodes } of violations)
      for (const { html, failureSummary } of nodes) faults.push(`${colorScheme}: ${id} (${impact}): ${html} ${failureSummary}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return faults
}

/** The width of the page beyond that of a phone, pixels; 0 is well. */
export async function overhangOf(page: Page): Promise<number> {
  const before = page.viewportSize()!
  await page.setViewportSize({ width: 360, height: 640 })
  const width = await page.evaluate<number>('document.documentElement.scrollWidth')
  await page.setViewportSize(before)
  return Math.max(0, width - 360)
}

/** Resolves when no list of the page is loading any more; a page may have several. */
export const loaded = (page: Pick<Page, 'locator'>): Promise<unknown> =>
  until(async () => (await page.locator('main .empty').filter({ hasText: 'Loading' }).count()) === 0, { what: 'lists to be loaded' })
