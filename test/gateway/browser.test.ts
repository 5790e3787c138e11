/** A real browser behind the gateway: a page with fetches, an event stream and a WebSocket, over HTTP/1.1 and over HTTPS with HTTP/2. */
import { createHash, X509Certificate } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { describe, expect } from '@jest/globals'
import { chromium, type Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { mintServer, startStore, writePair } from '../support/certificates.ts'
import { browserPath } from '../support/chromium.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { quiet } from '../support/quiet.ts'
import { until } from '../support/wait.ts'

/** What the page has seen; it writes this down itself. */
interface Seen {
  readonly protocol: string
  readonly posted: string
  readonly images: number
  readonly events: string[]
  readonly messages: string[]
  readonly binaryBytes: number
  readonly closes: { readonly code: number; readonly reason: string; readonly wasClean: boolean }[]
}

const PAGE = `<!doctype html><title>page</title>
${Array.from({ length: 20 }, (_, i) => `<img src="/image-${i}.svg">`).join('')}
<script type="module">
  const seen = { protocol: '', posted: '', images: 0, events: [], messages: [], binaryBytes: 0, closes: [] }
  window.seen = seen
  addEventListener('load', () => { seen.images = [...document.images].filter(image => image.naturalWidth > 0).length })
  seen.protocol = performance.getEntriesByType('navigation')[0].nextHopProtocol
  const events = new EventSource('/events')
  events.onmessage = event => { seen.events.push(event.data); if (event.data === 'last') events.close() }
  seen.posted = await (await fetch('/post', { method: 'POST', body: 'x'.repeat(300_000) })).text()
  const open = path => new Promise((resolve, reject) => {
    const socket = new WebSocket(new URL(path, location.href.replace(/^http/, 'ws')), ['chat'])
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => resolve(socket)
    socket.onerror = reject
    socket.onclose = ({ code, reason, wasClean }) => seen.closes.push({ code, reason, wasClean })
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') seen.messages.push(data)
      else seen.binaryBytes += data.byteLength
    }
  })
  window.socket = await open('/socket')
  socket.send('hello')
  socket.send(new Uint8Array(1_000_000))
</script>`

const IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'

/** An origin with the page, an event stream that the test writes, and a WebSocket that sends back what comes. */
const startPage = async () => {
  const streams: ServerResponse[] = []
  const http = createServer((request, response) => {
    const { url = '' } = request
    if (url === '/') response.setHeader('Content-Type', 'text/html').end(PAGE)
    else if (url === '/events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' }).flushHeaders()
      streams.push(response)
    } else if (url === '/post') {
      let bytes = 0
      request.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => response.end(String(bytes)))
    } else response.setHeader('Content-Type', 'image/svg+xml').end(IMAGE)
  })
  const server = new WebSocketServer({ server: http, perMessageDeflate: true })
  server.on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  onCleanUp(() => server.close())
  return { port: await listen(http), streams, server }
}

/** Opens the page in a browser of its own. @param certificate  the only one that is believed, apart from public ones */
const openPage = async (url: string, certificate?: string): Promise<Page> => {
  const pin = certificate === undefined ? undefined : new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  const browser = await chromium.launch({
    executablePath: browserPath(),
    args: [
      '--no-sandbox', // tests run as root, too
      '--host-resolver-rules=MAP *.test 127.0.0.1',
      ...(pin === undefined ? [] : [`--ignore-certificate-errors-spki-list=${createHash('sha256').update(pin).digest('base64')}`]),
    ],
  })
  onCleanUp(() => browser.close())
  const page = await browser.newPage()
  await page.goto(url)
  return page
}

const seenBy = (page: Page): Promise<Seen> => page.evaluate(() => (globalThis as unknown as { seen: Seen }).seen)

const expectEverything = async (layers: Layers, page: Page, { streams, server }: Awaited<ReturnType<typeof startPage>>): Promise<Seen> => {
  const stream = await until(() => streams[0])
  // Each event is there before the next one is written.
  for (const data of ['1', '2', '3', 'last']) {
    stream.write(`data: ${data}\n\n`)
    await until(async () => (await seenBy(page)).events.at(-1) === data)
  }
  const seen = await until(async () => {
    const now = await seenBy(page)
    return now.binaryBytes === 1_000_000 && now.images === 20 ? now : undefined
  })
  expect(seen.posted).toBe('300000')
  expect(seen.messages).toEqual(['hello'])
  expect([...server.clients].map(({ protocol, extensions }) => [protocol, extensions.split(';')[0]])).toEqual([
    ['chat', 'permessage-deflate'],
  ])
  for (const client of server.clients) client.close(4_321, 'done')
  await until(async () => (await seenBy(page)).closes.length === 1)
  expect((await seenBy(page)).closes).toEqual([{ code: 4_321, reason: 'done', wasClean: true }])
  await quiet(layers)
  return seen
}

/** What the WebSocket's request was answered with: 101 in HTTP/1.1, 200 in a stream of HTTP/2 (RFC 8441 §5). */
const statusOfSocket = (layers: Layers): Promise<number> =>
  until(() => layers.accessLog.find(({ path }) => path === '/socket')?.status, { what: 'the access line of the WebSocket' })

describe('Chromium', () => {
  testWith(['chromium'], 'loads a page over HTTP/1.1, with a WebSocket and an event stream on it', async () => {
    const origin = await startPage()
    const layers = await startLayers({ origin: origin.port })
    const page = await openPage(`http://a.test:${layers.port}/`)
    expect((await expectEverything(layers, page, origin)).protocol).toBe('http/1.1')
    expect(await statusOfSocket(layers)).toBe(101)
  })

  testWith(['chromium'], 'sees an abnormal end of the origin as 1006, and the loss of the inner layer as 1012', async () => {
    const origin = await startPage()
    const layers = await startLayers({ origin: origin.port })
    const page = await openPage(`http://a.test:${layers.port}/`)
    await until(async () => (await seenBy(page)).binaryBytes === 1_000_000)
    for (const client of origin.server.clients) client.terminate()
    await until(async () => (await seenBy(page)).closes.length === 1)
    expect((await seenBy(page)).closes).toEqual([{ code: 1006, reason: '', wasClean: false }])
    const next = await openPage(`http://a.test:${layers.port}/`)
    await until(async () => (await seenBy(next)).binaryBytes === 1_000_000)
    layers.inner.destroy()
    await until(async () => (await seenBy(next)).closes.length === 1)
    expect((await seenBy(next)).closes).toEqual([{ code: 1012, reason: 'INNER_LAYER_LOST', wasClean: true }])
  })

  testWith(['chromium'], 'U9: loads the same page over HTTPS with HTTP/2, the WebSocket in a stream of the same connection', async () => {
    const pair = await mintServer(['a.test'])
    const origin = await startPage()
    const layers = await startLayers({ origin: origin.port, outer: { appCertificates: await startStore([writePair(pair)]) } })
    const page = await openPage(`https://a.test:${layers.port}/`, pair.certificatePem)
    expect((await expectEverything(layers, page, origin)).protocol).toBe('h2')
    expect(await statusOfSocket(layers)).toBe(200)
  })
})
