/**
 * Takes the pictures of docs/console.md: both layers with some traffic, in Chromium.
 *
 * npm run build && node --import tsx scripts/screenshots.ts
 */
import { join } from 'node:path'
import { createServer } from 'node:http'
import { InspectorApi } from '../src/inspector/api/inspector-api.ts'
import { testInspector } from '../test/inspector/support.ts'
import { openTab } from '../test/support/chromium.ts'
import { cleanUp, onCleanUp } from '../test/support/cleanup.ts'
import { exchange } from '../test/support/exchange.ts'
import { startLayers } from '../test/support/layers.ts'
import { listen } from '../test/support/ports.ts'

const DOCS = join(import.meta.dirname, '../docs')
const REQUESTS = 60

const origin = createServer((request, response) => {
  response.statusCode = request.url?.endsWith('/7') === true ? 503 : 200
  response
    .setHeader('Content-Type', 'application/json')
    .end(JSON.stringify({ order: request.url, items: [{ sku: 'A-1', count: 2 }], paid: true }))
})
onCleanUp(() => origin.close())
const port = await listen(origin)
const { inspector } = testInspector({ clock: () => performance.now(), nowMs: Date.now, layer: 'outer' })
const api = new InspectorApi({ inspector, onFault: () => undefined })
onCleanUp(() => api.close())
const target = `{protocol: http, hostname: 127.0.0.1, port: ${port}, inspect: true}`
const layers = await startLayers({
  targets: `targets:\n  api.example.com: ${target}\n  shop.example.com: ${target}\n  gone.example.com: {protocol: http, hostname: 127.0.0.1, port: 9, identifier: lan-b}\n`,
  outer: { admin: { port: 0, others: [api.handle.bind(api)], features: ['inspector'] }, taps: inspector },
  inner: { identifier: 'lan-a' },
})
for (let i = 0; i < REQUESTS; i++)
  await exchange(layers.port, { host: i % 3 === 0 ? 'shop.example.com' : 'api.example.com', path: `/v1/orders/${i % 10}` })
await exchange(layers.port, { host: 'misspelt.example.com' })

const { page } = await openTab(`http://127.0.0.1:${layers.outer.adminPort}/`, { viewport: { width: 1_100, height: 720 } })
const shoot = (name: string): Promise<Buffer> => page.screenshot({ path: join(DOCS, `console-${name}.png`) })
await page.getByText('Asked for and unknown').waitFor()
await page.locator('.u-over').first().waitFor()
await shoot('overview')
await page.emulateMedia({ colorScheme: 'dark' })
await page.evaluate('scrollTo(0, 0)')
await page.getByRole('link', { name: 'Requests' }).click()
await page.getByRole('gridcell', { name: '/v1/orders/7' }).first().waitFor()
await shoot('requests')
await cleanUp()
