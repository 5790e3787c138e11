/** A table of 100,000 rows in a real browser. */
import { expect } from '@jest/globals'
import { createServer } from 'node:http'
import type { Account, Socket } from '../../src/client/wire.ts'
import { createConsole } from '../../src/console/console-files.ts'
import { faultsOf, openTab, overhangOf } from '../support/chromium.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const COUNT = 100_000
const PAGE = 20_000

const nameOf = (number: number): string => `socket-${String(number).padStart(6, '0')}`

function socketOf(number: number): Partial<Socket> {
  const name = nameOf(number)
  const url = `https://${name}.edge.example.com`
  return {
    ...{ id: name, name, type: 'http', url, state: 'active', password: null, visitors: null, tunnels: [] },
    createdAt: '2026-11-01T00:00:00Z',
  }
}

/** The pages of the portal over more sockets than a test could make: page by page, as the API gives them. */
async function startLong(): Promise<number> {
  const pages = createConsole(() => ({
    role: 'user',
    features: [],
    service: { zone: 'edge.example.com', api: 'https://api' },
    providers: [],
  }))
  const account: Partial<Account> = { id: 'a', name: 'Ada', email: 'ada@example.com', role: 'user' }
  const server = createServer((req, res) => {
    const asked = new URL(req.url!, 'http://localhost')
    const say = (value: unknown): void => void res.setHeader('Content-Type', 'application/json').end(JSON.stringify(value))
    if (asked.pathname === '/api/v1/account') return say(account)
    if (asked.pathname !== '/api/v1/sockets') {
      if (!pages(req, res)) res.writeHead(404).end()
      return
    }
    const from = Number(asked.searchParams.get('cursor') ?? 0)
    const to = Math.min(COUNT, from + PAGE)
    say({ items: Array.from({ length: to - from }, (_, i) => socketOf(from + i)), next: to < COUNT ? String(to) : null })
  })
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  return listen(server)
}

testWith(['chromium'], 'a table of 100,000 rows draws only what can be seen, by keys, sorted, and on a phone', async () => {
  const { page, complaints } = await openTab(`http://127.0.0.1:${await startLong()}/`)
  await page.locator(`table[aria-rowcount="${COUNT + 1}"]`).waitFor()
  const nodes = (): Promise<number> => page.evaluate("document.querySelectorAll('*').length")
  const region = page.getByRole('region', { name: 'Sockets, table' })
  const row = (number: number) => page.getByRole('link', { name: nameOf(number), exact: true })
  const indexOf = (number: number): Promise<string | null> => page.locator('tr', { has: row(number) }).getAttribute('aria-rowindex')
  const scrollTo = (part: number): Promise<unknown> =>
    page.evaluate(`(() => { const many = document.querySelector('.many'); many.scrollTop = many.scrollHeight * ${part} })()`)
  const expectFew = async (): Promise<void> => expect(await nodes()).toBeLessThan(2_000)
  await row(0).waitFor()
  await expectFew()
  await region.focus()
  await page.keyboard.press('End')
  await row(COUNT - 1).waitFor()
  expect(await indexOf(COUNT - 1)).toBe(String(COUNT + 1))
  await expectFew()
  expect(await faultsOf(page)).toEqual([])
  // Whoever was in a row that is not drawn any more goes on from the table itself.
  await row(COUNT - 1).focus()
  await scrollTo(0.5)
  await row(COUNT / 2).waitFor()
  await page.locator('.many:focus').waitFor()
  await page.keyboard.press('Home')
  await row(0).waitFor()
  await page.getByRole('button', { name: 'name' }).click()
  await page.getByRole('button', { name: 'name' }).click()
  await row(COUNT - 1).waitFor()
  expect(await indexOf(COUNT - 1)).toBe('2')
  expect(await overhangOf(page)).toBe(0)
  await page.setViewportSize({ width: 360, height: 640 })
  // Rows are cards now, whose height is known once one is drawn.
  await until(async () => (await scrollTo(1), (await row(0).count()) > 0), { what: 'the last card' })
  expect(await indexOf(0)).toBe(String(COUNT + 1))
  await expectFew()
  expect(await faultsOf(page)).toEqual([])
  expect(complaints).toEqual([])
  await page.close()
})
