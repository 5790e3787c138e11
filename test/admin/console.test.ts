/** The console of operators in a real browser. */
import { writeFileSync } from 'node:fs'
import { describe, expect } from '@jest/globals'
import { faultsOf, openTab, overhangOf } from '../support/chromium.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/wait.ts'

describe('the console of an outer layer', () => {
  testWith(['chromium'], 'shows what needs attention first, and follows what changes by itself', async () => {
    const closed = await freePort()
    const targets = `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${closed}}, b.test: {respond: {status: 204}}}\n`
    const layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { identifier: '<img src=x onerror=alert(1)>' } })
    const { page, complaints } = await openTab(`http://localhost:${layers.outer.adminPort}/`)
    await page.getByText('Nothing needs attention.').waitFor()
    await page.getByRole('link', { name: 'Inner layers' }).click()
    await page.getByText('<img src=x onerror=alert(1)>').first().waitFor()
    expect(await page.locator('img').count()).toBe(0)
    await page.getByRole('link', { name: 'Targets' }).click()
    await page.getByText('204 (fixed)').waitFor()
    await exchange(layers.port, { host: 'a.test' })
    await exchange(layers.port, { host: 'misspelt.test' })
    await page.getByText(/^ORIGIN_REFUSED, \d+ s ago: .*ECONNREFUSED/).waitFor()
    await page.getByRole('cell', { name: 'misspelt.test' }).waitFor()
    writeFileSync(layers.targetsFile, 'targets: 7\n')
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText(/Not in force: .*targets\.yaml:1:\d+: targets: expected a map/).waitFor()
    await page.getByText('Asked for and unknown: misspelt.test').waitFor()
    await layers.inner.close()
    await page.getByRole('status').getByText('outer layer not ready').waitFor()
    await page.getByText('Fault: no inner layer is connected').waitFor()
    await layers.close()
    await page.getByRole('status').getByText('no answer: The gateway does not answer').waitFor()
    await page
      .getByText(/^This is \d+ s old\.$/)
      .first()
      .waitFor()
    // Nothing that the content security policy has blocked, no fault of the script.
    expect(complaints).toEqual([])
  })

  testWith(['chromium'], 'disconnects and drains after asking, and the inner layer comes back', async () => {
    const layers = await startLayers({ outer: { admin: { port: 0 } }, inner: { identifier: 'lan-a' } })
    const { page } = await openTab(`http://127.0.0.1:${layers.outer.adminPort}/#/inner-layers`)
    const links = (): Date | undefined => layers.outer.registry.connections[0]?.since
    for (const verb of ['Disconnect', 'Drain']) {
      const before = links()
      await page.getByRole('button', { name: `${verb} lan-a` }).click()
      const dialog = page.getByRole('dialog', { name: `${verb} lan-a?` })
      await page.locator('button:focus', { hasText: 'Cancel' }).waitFor()
      // Whoever presses Enter without reading has done nothing.
      await page.keyboard.press('Enter')
      await dialog.waitFor({ state: 'detached' })
      expect(links()).toBe(before)
      await page.getByRole('button', { name: `${verb} lan-a` }).click()
      await dialog.getByRole('button', { name: verb }).click()
      await dialog.waitFor({ state: 'detached' })
      await until(() => links() !== undefined && links() !== before)
      await page.getByRole('button', { name: `${verb} lan-a` }).waitFor()
    }
  })

  testWith(['chromium'], 'works by keyboard alone', async () => {
    const layers = await startLayers({ outer: { admin: { port: 0 } } })
    const { page } = await openTab(`http://127.0.0.1:${layers.outer.adminPort}/`)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'By keyboard' }).getByText('ask again for what the page shows').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('g')
    await page.keyboard.press('t')
    await page.getByRole('heading', { name: 'Targets', exact: true }).waitFor()
    expect(await page.evaluate<string>('document.activeElement.id')).toBe('main')
    await page.keyboard.press('/')
    await page.keyboard.type('nothing like it?')
    await page.getByText('No target is like that.').waitFor()
    expect(new URL(page.url()).hash).toBe('#/targets?q=nothing+like+it%3F')
    await page.keyboard.press('Escape')
    await page.keyboard.press('d')
    expect(await page.evaluate<string>('getComputedStyle(document.documentElement).colorScheme')).toBe('dark')
  })
})

describe('every page for operators', () => {
  testWith(['chromium'], 'has nothing that axe finds, light and dark, and fits on a phone', async () => {
    const closed = await freePort()
    const targets = `targets: {a.test: {protocol: http, hostname: 127.0.0.1, port: ${closed}}, b.test: {respond: {status: 204}}}\n`
    const layers = await startLayers({ targets, outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
    await exchange(layers.port, { host: 'a.test' })
    await exchange(layers.port, { host: 'misspelt.test' })
    for (const [port, names] of [
      [layers.outer.adminPort, ['overview', 'inner-layers', 'targets', 'certificates', 'no-such-page']],
      [layers.inner.adminPort, ['overview']],
    ] as const) {
      const { page, complaints } = await openTab(`http://127.0.0.1:${port}/`)
      for (const name of names) {
        await page.evaluate(`location.hash = '#/${name}'`)
        await page.locator('main h1').waitFor()
        await page.locator('main .empty').filter({ hasText: 'Loading' }).waitFor({ state: 'detached' })
        expect([name, await overhangOf(page)]).toEqual([name, 0])
        expect([name, await faultsOf(page)]).toEqual([name, []])
      }
      expect(complaints).toEqual([])
    }
  })
})
