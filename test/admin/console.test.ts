/** The console of operators in a real browser. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { describe, expect } from '@jest/globals'
import type { Page } from 'playwright-core'
import { explainCall, protectionCall } from '../../src/cli/run/outer-layer.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { faultsOf, loaded, openTab, overhangOf } from '../support/chromium.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/**
 * Of each canvas of the page: pixels in each of these colours of the style, or nearly, and the least contrast of these colours to what is behind
 * the canvas.
 */
const pixelsOf = (page: Page, names: readonly string[]): Promise<readonly { readonly pixels: number[]; readonly contrast: number }[]> =>
  page.evaluate(`(() => {
    const rgbOf = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number)
    const light = rgb => {
      const [r, g, b] = rgb.map(value => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4))
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const backOf = element => {
      const { backgroundColor } = getComputedStyle(element)
      return /, 0\\)$/.test(backgroundColor) ? backOf(element.parentElement) : rgbOf(backgroundColor)
    }
    return [...document.querySelectorAll('main canvas')].map(canvas => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      const back = light(backOf(canvas))
      const wanted = ${JSON.stringify(names)}.map(name => {
        const probe = document.body.appendChild(document.createElement('i'))
        probe.style.color = 'var(' + name + ')'
        const rgb = rgbOf(getComputedStyle(probe).color)
        probe.remove()
        return rgb
      })
      const pixels = wanted.map(() => 0)
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200)
          wanted.forEach((rgb, k) => {
            if (rgb.every((value, channel) => Math.abs(value - data[i + channel]) < 16)) pixels[k] += 1
          })
      const contrast = Math.min(...wanted.map(light).map(own => (Math.max(own, back) + 0.05) / (Math.min(own, back) + 0.05)))
      return { pixels, contrast }
    })
  })()`)

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
    // Files of keys are the operator's: the page says what to do with them.
    await page.getByRole('button', { name: 'Revoke the key of lan-a' }).click()
    const line = page.getByRole('dialog', { name: 'Revoke the key of lan-a?' }).getByText(/^mv -- /)
    expect(await faultsOf(page)).toEqual([])
    execFileSync('sh', ['-c', await line.innerText()])
    await page.keyboard.press('Escape')
    await page.getByText('No inner layer is connected.').waitFor()
  })

  testWith(['chromium'], 'explains a request, and tells what has happened', async () => {
    const targets = `targets:
  a.test: {protocol: http, hostname: 127.0.0.1, port: 9, policy: {/pub: [GET]}}
  b.test: {protocol: http, hostname: 127.0.0.1, port: 9, limits: {rate: {perSecond: 5}}, deny: [10.0.0.0/8], access: {tokens: true}}
`
    const table = { table: parseTargets(targets, 'targets.yaml') }
    const admin = { port: 0, calls: [explainCall(table), protectionCall(table)], features: ['explain'] }
    const layers = await startLayers({ targets, outer: { admin }, inner: { identifier: 'lan-<b>a</b>' } })
    const { page, complaints } = await openTab(`http://127.0.0.1:${layers.outer.adminPort}/#/targets`)
    const target = page.getByRole('row', { name: /^a\.test/ })
    await target.getByText('GET /pub', { exact: true }).waitFor()
    await target.getByRole('cell', { name: '2', exact: true }).waitFor()
    await target.getByRole('cell', { name: 'anybody', exact: true }).waitFor()
    const guarded = page.getByRole('row', { name: /^b\.test/ })
    for (const text of ['deny: not from 10.0.0.0/8', 'limits.rate: 5 a second for each address, 5 at once', 'access: a service token'])
      await guarded.getByText(text).waitFor()
    await page.getByText(`Of ${layers.targetsFile}, read`).waitFor()
    await page.getByText('Explain a request').click()
    await page.getByLabel('URL').fill('https://a.test/pub?q=1')
    await page.keyboard.press('Enter')
    const verdict = page.locator('details').getByRole('status')
    await verdict.getByText('allowed').first().waitFor()
    await verdict.getByText('http://127.0.0.1:9/pub?q=1').waitFor()
    await page.getByLabel('URL').fill('https://a.test/secret')
    await page.getByRole('button', { name: 'Explain' }).click()
    await verdict.getByText('POLICY_REFUSED').waitFor()
    await verdict.getByText('/pub GET, line 2: does not fit').waitFor()
    expect([await faultsOf(page), await overhangOf(page)]).toEqual([[], 0])

    await page.getByRole('link', { name: 'Events' }).click()
    const rows = page.getByRole('table').getByRole('row')
    await rows.filter({ hasText: 'inner-layer.connected' }).getByRole('cell', { name: 'lan-<b>a</b>', exact: true }).waitFor()
    await page.getByLabel('Find').fill('gateway.started')
    await rows.filter({ hasText: 'inner-layer.connected' }).waitFor({ state: 'detached' })
    await page.getByLabel('Find').fill('')
    await page.getByLabel('At least').selectOption('error')
    await page.getByText('Nothing of that kind has happened.').waitFor()
    await page.getByLabel('At least').selectOption('info')
    await rows.filter({ hasText: 'gateway.started' }).waitFor()
    expect([await faultsOf(page), await overhangOf(page)]).toEqual([[], 0])
    expect(complaints).toEqual([])
  })

  testWith(['chromium'], 'draws its charts in colours that can be seen, light and dark', async () => {
    const layers = await startLayers({ targets: 'targets: {a.test: {respond: {status: 204}}}\n', outer: { admin: { port: 0 } } })
    await exchange(layers.port, { host: 'a.test' })
    const { page } = await openTab(`http://127.0.0.1:${layers.outer.adminPort}/`)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      const drawn = await until(
        async () => {
          const [requests] = await pixelsOf(page, ['--blue', '--dim'])
          return requests?.pixels.every(count => count > 4) === true ? requests : undefined
        },
        { what: `a chart in colours, ${colorScheme}` },
      )
      expect(drawn.contrast).toBeGreaterThan(3)
      expect(await page.locator('main canvas').count()).toBe(4)
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
      [layers.outer.adminPort, ['overview', 'inner-layers', 'targets', 'events', 'certificates', 'no-such-page']],
      [layers.inner.adminPort, ['overview']],
    ] as const) {
      const { page, complaints } = await openTab(`http://127.0.0.1:${port}/`)
      for (const name of names) {
        await page.evaluate(`location.hash = '#/${name}'`)
        await page.locator('main h1').waitFor()
        await loaded(page)
        expect([name, await overhangOf(page)]).toEqual([name, 0])
        expect([name, await faultsOf(page)]).toEqual([name, []])
      }
      expect(complaints).toEqual([])
    }
  })
})
