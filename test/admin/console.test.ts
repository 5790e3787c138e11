/** The page of the admin port in a real browser. */
import { writeFileSync } from 'node:fs'
import { describe, expect } from '@jest/globals'
import { chromium, type Browser, type Page } from 'playwright-core'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/wait.ts'

let launched: Promise<Browser> | undefined

/** A tab, and what its console has complained about. */
const openPage = async (url: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<{ page: Page; complaints: string[] }> => {
  launched ??= chromium.launch({ executablePath: programPath('chromium')!, args: ['--no-sandbox'] }).then(browser => {
    onCleanUp(() => browser.close())
    return browser
  })
  const page = await (await launched).newPage(options)
  const complaints: string[] = []
  page.on('console', message => complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(String(error)))
  await page.goto(url)
  return { page, complaints }
}

describe('the console', () => {
  testWith(['chromium'], 'shows inner layers and targets, and follows what changes by itself', async () => {
    const closed = await freePort()
    const targets = `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${closed}}, b.test: {respond: {status: 204}}}\n`
    const layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { identifier: '<img src=x onerror=alert(1)>' } })
    const { page, complaints } = await openPage(`http://localhost:${layers.outer.adminPort}/`)
    await page.getByText('<img src=x onerror=alert(1)>').waitFor()
    await page.getByText('204 (fixed)').waitFor()
    expect(await page.locator('#state').textContent()).toMatch(/^outer layer \d+\.\d+\.\d+, ready, up \d+ s, event loop \d+ ms late$/)
    expect(await page.locator('img').count()).toBe(0)
    await exchange(layers.port, { host: 'a.test' })
    await page.getByText(/^ORIGIN_REFUSED, \d+ s ago: .*ECONNREFUSED/).waitFor()
    writeFileSync(layers.targetsFile, 'targets: 7\n')
    await page.getByText(/targets\.yaml:1:\d+: targets: expected a map/).waitFor()
    await layers.inner.close()
    await page.getByText('No inner layer is connected.').waitFor()
    expect(await page.title()).toBe('✗ outer layer – socket-gateway')
    await layers.close()
    await until(async () => (await page.locator('#state').textContent())?.startsWith('no answer: '))
    // Nothing that the content security policy has blocked, no fault of the script.
    expect(complaints.filter(text => !/Failed to load resource|ERR_CONNECTION/.test(text))).toEqual([])
  })

  testWith(['chromium'], 'fits on a phone, in the dark as well', async () => {
    const layers = await startLayers({ outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
    for (const port of [layers.outer.adminPort, layers.inner.adminPort]) {
      const { page } = await openPage(`http://127.0.0.1:${port}/`, { viewport: { width: 360, height: 640 }, colorScheme: 'dark' })
      await page.locator('table').first().waitFor()
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
      expect(await page.evaluate<string>('getComputedStyle(document.documentElement).colorScheme')).toBe('light dark')
      expect(await page.evaluate<boolean>("matchMedia('(prefers-color-scheme: dark)').matches")).toBe(true)
    }
  })
})
