/** The pages of the inspector in a real browser. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect } from '@jest/globals'
import type { Page } from 'playwright-core'
import { createConsole } from '../../src/console/console-files.ts'
import { InspectorApi } from '../../src/inspector/api/inspector-api.ts'
import type { Inspector } from '../../src/inspector/inspector.ts'
import { InspectorPort } from '../../src/inspector/port/inspector-port.ts'
import { OriginReplayer } from '../../src/inspector/replay/origin-replayer.ts'
import { newest, testInspector } from '../inspector/support.ts'
import { faultsOf, openTab, overhangOf, type Tab } from '../support/chromium.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { programPath, testWith } from '../support/needs.ts'
import { until } from '../support/wait.ts'

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='

interface Wish {
  readonly path: string
  readonly method?: string
  readonly host?: string
  readonly status?: number
  readonly sent?: readonly [type: string, body: string]
  readonly answer?: readonly [type: string, body: string | Buffer]
}

let inspector: Inspector
let tab: Tab
let page: Page
let url: string

/** Records one exchange. @returns its id */
function record({ path, method = 'GET', host = 'a.test', status = 200, sent, answer }: Wish): string {
  const fields = ['Host', host, ...(sent === undefined ? [] : ['Content-Type', sent[0]])]
  const tap = inspector.open({
    kind: 'http',
    scheme: 'http',
    authority: host,
    method,
    path,
    version: '1.1',
    fields,
    client: '203.0.113.7',
  })!
  if (sent !== undefined) tap.sent(Buffer.from(sent[1]))
  tap.sentEnd([])
  tap.head(status, 'Fine', answer === undefined ? [] : ['Content-Type', answer[0]])
  if (answer !== undefined) tap.received(Buffer.from(answer[1] as string))
  tap.receivedEnd([])
  tap.end({})
  return tap.id
}

/** A frame of a WebSocket: unmasked, at most 125 bytes. */
const frame = (opcode: number, payload: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), Buffer.from(payload as string)])

beforeAll(async () => {
  if (programPath('chromium') === undefined) return
  ;({ inspector } = testInspector())
  const api = new InspectorApi({ inspector, onFault: thrown => expect(thrown).toBeUndefined() })
  const pages = createConsole(() => ({ role: 'inspector', features: ['inspector'] }))
  const server = createServer((req, res) => {
    if (!api.handle(req, res) && !pages(req, res)) res.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    api.close()
    server.closeAllConnections()
    server.close()
  })
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  tab = await openTab(url)
  page = tab.page
})

const go = async (hash: string): Promise<void> => {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
}
const rows = () => page.getByRole('grid').getByRole('row')
const body = (name: string) => page.getByRole('region', { name: `${name}: text` })

describe('the list of requests', () => {
  testWith(['chromium'], 'shows what comes as it comes, filters, and is walked by keyboard', async () => {
    await page.getByText(/^0 requests, live/).waitFor()
    for (let i = 0; i < 300; i++) record({ path: `/item/${i}`, status: i % 10 === 0 ? 503 : 200, host: i % 2 === 0 ? 'a.test' : 'b.test' })
    await page.getByText(/^300 requests, live/).waitFor()
    // Only what can be seen is drawn, and everything is counted.
    expect(await rows().count()).toBeLessThan(80)
    expect(await page.getByRole('grid').getAttribute('aria-rowcount')).toBe('301')
    await page.getByLabel('Filter').fill('host:a status:5xx')
    await page.getByText(/^30 of 30\d requests, live/).waitFor()
    await page.getByLabel('Filter').fill('status:fine')
    await page.getByRole('alert').getByText('INVALID').waitFor()
    await page.getByLabel('Filter').fill('')
    await page.getByText(/^300 requests, live/).waitFor()
    await rows().nth(1).focus()
    await page.keyboard.press('End')
    await page.locator('[role=row]:focus', { hasText: '/item/0' }).waitFor()
    await page.keyboard.press('k')
    await page.locator('[role=row]:focus', { hasText: '/item/1' }).waitFor()
    // What comes does not move what is read.
    const before = await page.locator('[role=row]:focus').boundingBox()
    record({ path: '/newest' })
    await page.getByText(/^301 requests, live/).waitFor()
    expect((await page.locator('[role=row]:focus').boundingBox())?.y).toBe(before?.y)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'GET b.test/item/1', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('grid').waitFor()
    expect(await faultsOf(page)).toEqual([])
    expect(await overhangOf(page)).toBe(0)
    await page.getByRole('button', { name: 'Forget all' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Forget all' }).click()
    await page.getByText(/^0 requests, live/).waitFor()
  })
})

describe('a list of 100,000 requests', () => {
  testWith(['chromium'], 'draws only what can be seen, and End goes to the last one', async () => {
    const COUNT = 100_000
    record({ path: '/item' })
    const { summary } = await newest(inspector)
    inspector.clear()
    const pages = createConsole(() => ({ role: 'inspector', features: ['inspector'] }))
    // Twice what an inspector keeps, so its API is answered here: rows in their order, page by page, and a stream that is still.
    const server = createServer((req, res) => {
      const asked = new URL(req.url!, 'http://localhost')
      if (asked.pathname === '/inspector/requests/stream') {
        res.writeHead(200).write('\n')
        return
      }
      if (asked.pathname !== '/inspector/requests') {
        if (!pages(req, res)) res.writeHead(404).end()
        return
      }
      const from = Number(asked.searchParams.get('cursor') ?? 0)
      const to = Math.min(COUNT, from + Number(asked.searchParams.get('limit')))
      const items = Array.from({ length: to - from }, (_, i) => {
        const number = COUNT - from - i
        return { ...summary, id: String(number).padStart(6, '0'), path: `/item/${number}` }
      })
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ items, next: to < COUNT ? String(to) : null }))
    })
    onCleanUp(() => {
      server.closeAllConnections()
      server.close()
    })
    const { page: long, complaints } = await openTab(`http://127.0.0.1:${await listen(server)}/`)
    await long.getByText(/^100,000 requests/).waitFor()
    const nodes = (): Promise<number> => long.evaluate("document.querySelectorAll('*').length")
    const focused = (text: string) => long.locator('[role=row]:focus', { hasText: text })
    expect(await nodes()).toBeLessThan(1_000)
    await long.getByRole('grid').getByRole('row').nth(1).focus()
    await long.keyboard.press('End')
    await focused('/item/1').waitFor()
    expect(await long.locator('[role=row]:focus').getAttribute('aria-rowindex')).toBe(String(COUNT + 1))
    await long.keyboard.press('PageUp')
    await long.keyboard.press('Home')
    await focused('/item/100000').waitFor()
    expect(await nodes()).toBeLessThan(1_000)
    // Elements of rows are used again, but for the one with the focus: nobody is at another row without being told.
    await long.evaluate("window.was = [...document.querySelectorAll('.list-row')]; document.querySelector('.list').scrollTop = 1_600_000")
    await long.getByText('/item/50000', { exact: true }).waitFor()
    const used = "window.was.map(row => [row.isConnected, row.textContent.includes('/item/100000')])"
    const [first, ...others] = await long.evaluate<[boolean, boolean][]>(used)
    expect([first, others.every(([isThere]) => isThere)]).toEqual([[false, true], true])
    expect(await focused('').count()).toBe(0)
    expect(complaints).toEqual([])
    await long.close()
  })
})

describe('a replay', () => {
  testWith(['chromium'], 'is sent edited, to the origin, and stands beside the original', async () => {
    const seen: string[] = []
    const origin = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`)
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ path: request.url, same: true }))
    })
    onCleanUp(() => origin.close())
    const own = testInspector({ clock: () => performance.now(), nowMs: Date.now })
    const targets = 'targets:\n  "localhost": {protocol: http, hostname: 127.0.0.1, port: {port}}\n'
    const layers = await startLayers({ origin: await listen(origin), targets, inner: { taps: own.inspector } })
    const replayer = new OriginReplayer(layers.inner.drivers, own.inspector, () => performance.now())
    const onFault = (thrown: unknown): void => expect(thrown).toBeUndefined()
    const port = new InspectorPort(
      { host: '127.0.0.1', port: 0 },
      new InspectorApi({ inspector: own.inspector, replayer, onFault }),
      onFault,
    )
    const at = await port.start()
    onCleanUp(() => port.close())
    await exchange(layers.port, { host: 'localhost', path: '/first' })
    const { id } = await newest(own.inspector)
    const { page: other, complaints } = await openTab(`http://127.0.0.1:${at}/#/requests/${id}`)
    await other.getByRole('button', { name: 'Replay' }).click()
    await other.getByLabel('Path and query').fill('/second')
    await other.getByLabel('Times').fill('2')
    expect(await faultsOf(other)).toEqual([])
    await other.getByRole('button', { name: 'Send', exact: true }).click()
    await other.getByRole('link', { name: 'Side by side' }).first().click()
    await other.getByRole('cell', { name: '"path": "/second",' }).waitFor()
    expect(seen).toEqual(['GET /first', 'GET /second', 'GET /second'])
    expect(complaints).toEqual([])
  })
})

describe('a request', () => {
  testWith(['chromium'], 'shows heads, phases and bodies in the way that suits them', async () => {
    const json = record({
      path: '/json',
      method: 'POST',
      sent: ['application/x-www-form-urlencoded', 'a=1&b=x+y'],
      answer: ['application/json', '{"a":[1,2],"b":"<img src=x>"}'],
    })
    await go(`#/requests/${json}`)
    await body('Answer').getByText('"b": "<img src=x>"').waitFor()
    await page.getByText('x y').waitFor()
    await page.getByRole('region', { name: 'Where the time went' }).getByText('in all').waitFor()
    expect(await page.locator('main img').count()).toBe(0)
    await page.getByRole('button', { name: 'Hex' }).last().click()
    await body('Answer').getByText('7b 22 61 22 3a').waitFor()
    expect(await faultsOf(page)).toEqual([])
    expect(await overhangOf(page)).toBe(0)

    await go(`#/requests/${record({ path: '/broken', answer: ['application/json', '{"a": 1,\n "b" 2}'] })}`)
    await page.getByText('Line 2, column 6: expected a colon, found "2".').waitFor()
    expect(await page.locator('mark').textContent()).toBe('2')

    await go(`#/requests/${record({ path: '/image', answer: ['image/png', Buffer.from(PIXEL, 'base64')] })}`)
    await page.getByAltText('Answer: the image of the body').waitFor()
    expect(await page.evaluate<number>("document.querySelector('main img').naturalWidth")).toBe(1)

    await go(`#/requests/${record({ path: '/xml', answer: ['text/xml', '<a><b>1</b></a>'] })}`)
    await body('Answer').getByText('<b>1</b>').waitFor()
    await go('#/requests/no-such-request')
    await page.getByRole('alert').getByText('NOT_FOUND').waitFor()
  })

  testWith(['chromium'], 'is copied as a command, and goes out and comes in as HAR', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const copied = (): Promise<string> => page.evaluate('navigator.clipboard.readText()')
    const id = record({ path: '/har', method: 'POST', sent: ['text/plain', "it's"], answer: ['text/plain', 'the answer'] })
    await go(`#/requests/${id}`)
    await page.getByRole('heading', { name: 'POST a.test/har', exact: true }).waitFor()
    for (const [program, words] of [
      ['curl', ['curl --globoff http://a.test/har', `--data-raw 'it'\\''s'`]],
      ['fetch', ['await fetch("http://a.test/har"', '"body": "it\'s"']],
      ['httpie', ['http --ignore-stdin --raw ', 'POST http://a.test/har']],
    ] as const) {
      const button = page.getByRole('button', { name: `Copy as ${program}` })
      // The body is asked for as the pointer comes, and the copy has it once it is there.
      await until(async () => {
        await button.click()
        const text = await copied()
        return words.every(word => text.includes(word))
      })
      await page
        .getByRole('button', { name: `Copy as ${program}` })
        .getByText('Copied')
        .first()
        .waitFor()
    }
    await go('#/requests?q=path:/har')
    await rows().filter({ hasText: '/har' }).waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'HAR' }).click()])
    const file = await download.path()
    const { log } = JSON.parse(readFileSync(file, 'utf8')) as { log: { entries: { request: { url: string } }[] } }
    expect([download.suggestedFilename(), log.entries.map(({ request }) => request.url)]).toEqual(['requests.har', ['http://a.test/har']])
    inspector.clear()
    await rows().filter({ hasText: '/har' }).waitFor({ state: 'detached' })
    await page.getByLabel('HAR file').setInputFiles({ name: 'not.har', mimeType: 'application/json', buffer: Buffer.from('{"log": 7}') })
    await page.getByRole('alert').getByText('INVALID').waitFor()
    await page.getByLabel('HAR file').setInputFiles(file)
    await rows().filter({ hasText: '/har' }).click()
    await page.getByText('a HAR file').waitFor()
    await body('Answer').getByText('the answer').waitFor()
  })

  testWith(['chromium'], 'that became a WebSocket shows its messages, and says why it was closed', async () => {
    const fields = ['Host', 'ws.test', 'Upgrade', 'websocket']
    const tap = inspector.open({
      kind: 'http',
      scheme: 'http',
      authority: 'ws.test',
      method: 'GET',
      path: '/chat',
      version: '1.1',
      fields,
    })!
    tap.sentEnd([])
    tap.switched('websocket', 'Switching Protocols', ['Upgrade', 'websocket'])
    tap.received(frame(1, '{"hello":"from the origin"}'))
    await go(`#/requests/${tap.id}`)
    await page.getByRole('button', { name: /from the origin/ }).click()
    await body('message 0').getByText('"hello": "from the origin"').waitFor()
    tap.received(frame(1, 'and one more'))
    await page.getByText('and one more').waitFor()
    tap.end({ error: 'INNER_LAYER_LOST' })
    await page.getByText(/^Closed with 1006/).waitFor()
    expect(await faultsOf(page)).toEqual([])
  })

  testWith(['chromium'], 'stands beside another', async () => {
    const [a, b] = ['1', '2'].map(n => record({ path: '/same', answer: ['application/json', `{"same":true,"n":${n}}`] }))
    await go('#/requests')
    const both = rows().filter({ hasText: '/same' })
    for (const i of [0, 1]) {
      await both.nth(i).focus()
      await page.keyboard.press('x')
    }
    await page.getByRole('link', { name: 'Compare the two' }).click()
    expect(new URL(page.url()).hash).toBe(`#/compare/${a}/${b}`)
    const part = page.getByRole('region', { name: 'Body of the answer', exact: true })
    await part.getByText('1 of 4 lines differ').waitFor()
    await page.getByLabel('Only what differs').check()
    expect(await part.getByRole('row', { name: /changed/ }).textContent()).toBe('  "n": 1≠changed  "n": 2')
    expect(await faultsOf(page)).toEqual([])
    expect(tab.complaints).toEqual([])
  })
})
