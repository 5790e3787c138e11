/** Waits of people who look at a gateway: the console in a browser, and a filter over many requests of an inspector. */
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { gzipSync } from 'node:zlib'
import { chromium, type Browser } from 'playwright-core'
import { programPath } from '../../test/support/needs.ts'
import type { Bench, Figures, Measurement } from '../bench.ts'
import { startGateway, type Gateway } from '../contenders.ts'
import { raiseSession } from '../fleet.ts'
import type { Group, Requirement, Row } from '../report.ts'
import { until } from '../service.ts'
import { median, percentile } from '../stats.ts'

const REQUESTS = 10_000
const QUICK_REQUESTS = 1_000
const PARALLEL = 16
const ROUNDS_EACH = 3
const MAX_PAINT_MS = 1_000
const MAX_FILTER_MS = 100
const MAX_BUNDLE_KB = 120
const ROWS = 100_000
const QUICK_ROWS = 10_000
/** Frames in a row that each scroll on by some rows. */
const FRAMES = 120
/** Of a screen that shows 60 frames a second: at most one of twenty comes a frame late. */
const MAX_FRAME_MS = 34
/** For all pages of the list to be there. */
const MAX_LIST_MS = 120_000
const HOST = 'inspected.test'

/** Each finds less than one page, so that all requests are looked at. */
const FILTERS = [
  { label: 'filter by path and status', filter: 'path:/1k?n=77 status:2xx' },
  { label: 'filter that finds nothing', filter: 'host:elsewhere status:5xx' },
  { label: 'search in heads and bodies', filter: 'text:nowhere' },
]
const PAGE = 'console, until it is painted'
const SCROLL = 'scrolling the list of requests, 95 % of frames'

const fetched = (url: string, agent?: Agent): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port, pathname, search } = new URL(url)
    const headers = agent === undefined ? {} : { host: HOST }
    get({ hostname, port, path: `${pathname}${search}`, headers, ...(agent && { agent }) }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`${url}: ${response.statusCode} ${text}`))))
      response.on('error', reject)
    }).on('error', reject)
  })

const adminPortOf = ({ outer }: Gateway): Promise<number> =>
  until('the port for operators', () => {
    const port = /"adminPort":(\d+)/.exec(readFileSync(outer.logFile, 'utf8'))?.[1]
    return port === undefined ? undefined : Number(port)
  })

/** Sends requests, each with a number in its query. */
const sendAll = async ({ port }: Gateway, count: number): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL })
  let next = 0
  const send = async (): Promise<void> => {
    while (next < count) await fetched(`http://127.0.0.1:${port}/1k?n=${next++}`, agent)
  }
  await Promise.all(Array.from({ length: PARALLEL }, send))
  agent.destroy()
}

const LIMITS: ReadonlyMap<string, number> = new Map([
  [PAGE, MAX_PAINT_MS],
  [SCROLL, MAX_FRAME_MS],
])
const WHAT: ReadonlyMap<string, string> = new Map([
  [PAGE, 'first paint of the console'],
  [SCROLL, 'p95 of a frame while a list of 100,000 rows scrolls (--quick: 10,000)'],
])

/** Opens the console with nothing in the cache. */
const paint = async (browser: Browser, url: string): Promise<Figures> => {
  const page = await browser.newPage()
  await page.goto(url)
  await page.getByRole('heading', { level: 1 }).waitFor()
  const ms = await page.evaluate<number>(
    "new Promise(resolve => new PerformanceObserver(list => resolve(list.getEntriesByName('first-contentful-paint')[0].startTime)).observe({ type: 'paint', buffered: true }))",
  )
  await page.close()
  return { ms }
}

/** Times between frames while a list of `rows` requests scrolls: more than an inspector keeps, so that the pages of its API are made here. */
const scroll = async (browser: Browser, url: string, rows: number): Promise<readonly number[]> => {
  const { items } = JSON.parse(await fetched(`${url}inspector/requests?limit=1`)) as { readonly items: readonly object[] }
  const page = await browser.newPage({ viewport: { width: 1_280, height: 800 } })
  await page.route(/\/inspector\/requests\?/, route => {
    const asked = new URL(route.request().url()).searchParams
    const from = Number(asked.get('cursor') ?? 0)
    const to = Math.min(rows, from + Number(asked.get('limit')))
    const made = Array.from({ length: to - from }, (_, i) => ({
      ...items[0],
      ...{ id: String(rows - from - i).padStart(6, '0'), path: `/item/${rows - from - i}` },
    }))
    return route.fulfill({ json: { items: made, next: to < rows ? String(to) : null } })
  })
  await page.goto(url)
  await page.getByRole('link', { name: 'Requests' }).click()
  await page.getByText(new RegExp(`^${rows.toLocaleString('en-US')} requests`)).waitFor({ timeout: MAX_LIST_MS })
  const times = await page.evaluate<number[]>(`new Promise(resolve => {
    const list = document.querySelector('[role=grid]')
    const step = list.scrollHeight / ${FRAMES * 2}
    const times = []
    let last
    const frame = now => {
      if (last !== undefined) times.push(now - last)
      last = now
      list.scrollTop += times.length % 2 === 0 ? step : 90
      if (times.length < ${FRAMES}) requestAnimationFrame(frame)
      else resolve(times)
    }
    requestAnimationFrame(frame)
  })`)
  await page.close()
  return times
}

/** Kilobytes of everything that the first page brings, packed. */
const bundleKb = async (url: string): Promise<number> => {
  const html = await fetched(url)
  const assets = [...html.matchAll(/(?:src|href)="\.?\/?(assets\/[^"]+)"/g)].map(([, name]) => `${url}${name}`)
  const texts = [html, ...(await Promise.all(assets.map(each => fetched(each))))]
  return texts.reduce((sum, text) => sum + gzipSync(text).length, 0) / 1_000
}

const measure = async (bench: Bench): Promise<Group> => {
  const { fleet, origins, isQuick, runs } = bench
  const targets = { [HOST]: { protocol: 'http', hostname: '127.0.0.1', port: origins.staticPort, inspect: true } }
  const gateway = await startGateway(fleet, origins, { targets, outer: ['--inspect'] })
  const url = `http://127.0.0.1:${await adminPortOf(gateway)}/`
  const requests = isQuick ? QUICK_REQUESTS : REQUESTS
  await sendAll(gateway, requests)
  const kept = await until('the records', async () => {
    const state = JSON.parse(await fetched(`${url}inspector/state`)) as { requests: number }
    return state.requests >= requests ? state.requests : undefined
  })
  const executablePath = programPath('chromium')
  if (executablePath === undefined) bench.say('  without the page: chromium not installed')
  const server = executablePath === undefined ? undefined : await chromium.launchServer({ executablePath, args: ['--no-sandbox'] })
  if (server !== undefined) raiseSession(server.process().pid)
  const browser = server && (await chromium.connect(server.wsEndpoint()))
  const samples = new Map<string, number[]>()
  const note = (label: string, ms: number): void => void samples.set(label, [...(samples.get(label) ?? []), ms])
  try {
    const count = isQuick ? 1 : runs * ROUNDS_EACH
    for (let round = 1; round <= count; round++) {
      if (browser !== undefined) note(PAGE, (await paint(browser, url))['ms']!)
      for (const { label, filter } of FILTERS) {
        const begunMs = performance.now()
        await fetched(`${url}inspector/requests?limit=1000&filter=${encodeURIComponent(filter)}`)
        note(label, performance.now() - begunMs)
      }
      bench.say(`  round ${round} of ${count}`)
    }
    if (browser !== undefined) for (const ms of await scroll(browser, url, isQuick ? QUICK_ROWS : ROWS)) note(SCROLL, ms)
  } finally {
    await browser?.close()
    await server?.close()
  }
  return groupOf(samples, { kb: await bundleKb(url), kept })
}

function groupOf(samples: ReadonlyMap<string, readonly number[]>, { kb, kept }: { readonly kb: number; readonly kept: number }): Group {
  const msOf = (label: string): number => (label === SCROLL ? percentile([...samples.get(label)!], 0.95) : median([...samples.get(label)!]))
  const labels = [...samples.keys()]
  const requirements: Requirement[] = labels.map(label => ({
    what: WHAT.get(label) ?? `${label}, ${kept.toLocaleString('en-US')} requests`,
    unit: 'ms',
    limit: { atMost: LIMITS.get(label) ?? MAX_FILTER_MS },
    measured: msOf(label),
  }))
  const rows: Row[] = labels.map(label => ({ label, values: { ms: msOf(label), mostMs: Math.max(...samples.get(label)!) } }))
  return {
    name: 'console',
    title: `The console of an outer layer in Chromium, and its inspector with ${kept.toLocaleString('en-US')} requests`,
    columns: [
      { key: 'ms', title: 'ms', digits: 1 },
      { key: 'mostMs', title: 'most ms', digits: 1 },
      { key: 'kb', title: 'KB, packed', digits: 1 },
    ],
    rows: [...rows, { label: 'what the browser loads for it', values: { kb } }],
    requirements: [
      ...requirements,
      { what: 'size of the console as it is sent', unit: 'KB', limit: { atMost: MAX_BUNDLE_KB }, measured: kb },
    ],
  }
}

/** Pages that are opened, and filters that are asked, one after the other. */
export const console: Measurement = { name: 'console', measure }
