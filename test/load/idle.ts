/** Thousands of event streams and WebSockets on which nothing happens. */
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { wait } from '../chaos/fault.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import type { Figure } from './figure.ts'
import { Stand } from './stand.ts'

const EVENT_STREAMS = 4_000
const WEB_SOCKETS = 2_000
/** A session carries 1,024 streams. */
const CONNECTIONS = 8
const AT_A_TIME = 32
const MOST_KIB = 12

/** One client: what came last, and whether it is still there. */
interface Held {
  readonly socket: Socket
  text: string
  isGone: boolean
}

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

/** Opens one; resolves when its answer has begun. @returns what was said instead, when it was refused */
const open = async (port: number, isWebSocket: boolean): Promise<Held | string> => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const held: Held = { socket, text: '', isGone: false }
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => (held.text += text))
  socket.on('error', () => undefined)
  socket.on('close', () => (held.isGone = true))
  socket.write(`GET ${isWebSocket ? '/socket' : '/events'} HTTP/1.1\r\nHost: a.test\r\n${isWebSocket ? UPGRADE : ''}\r\n`)
  const begun = isWebSocket ? /^HTTP\/1\.1 101 / : /hello/
  await until(() => held.isGone || begun.test(held.text), { what: 'an answer to begin' })
  if (!begun.test(held.text)) return held.text.slice(0, 400)
  held.text = ''
  return held
}

/** An origin of both. */
const startOrigin = async (): Promise<{ readonly port: number; readonly sayAll: (text: string) => void }> => {
  const streams = new Set<ServerResponse>()
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    if (request.url !== '/events') return void response.end('ok')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: hello\n\n')
    streams.add(response)
    response.on('close', () => streams.delete(response))
  })
  server.on('upgrade', (_request, socket: Duplex) => {
    socket.on('error', () => socket.destroy())
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.pipe(socket)
  })
  const port = await listen(server)
  return { port, sayAll: text => streams.forEach(stream => stream.write(text)) }
}

/** A text frame as a client sends it, with a mask of zeros: the origin sends the same bytes back. */
const PING = Buffer.concat([Buffer.of(0x81, 0x84, 0, 0, 0, 0), Buffer.from('ping')])

export const idle = async (minutes: number, say: (text: string) => void): Promise<readonly Figure[]> => {
  const origin = await startOrigin()
  const stand = await Stand.start({ originPort: origin.port, connections: CONNECTIONS })
  const layers = [stand.outers[0]!, stand.inners[0]!] as const
  const { app } = stand.outers[0]!.ports
  /** Of a machine that is too busy to connect to the origin in ten seconds, for instance. */
  let refused = 0
  const openMany = async (count: number, isWebSocket: boolean): Promise<Held[]> => {
    const all: Held[] = []
    let begun = 0
    const worker = async (): Promise<void> => {
      while (begun++ < count) {
        const opened = await open(app, isWebSocket)
        if (typeof opened !== 'string') all.push(opened)
        else {
          begun--
          if (refused++ < 3) say(`refused, and asked for again: ${opened}`)
        }
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    return all
  }
  // What the first ones bring with them is no cost of the others.
  const first = [...(await openMany(200, false)), ...(await openMany(100, true))]
  for (const { socket } of first) socket.destroy()
  await stand.quiet()
  const before = await Promise.all(layers.map(async layer => ({ held: await layer.held(), rss: layer.rssMiB })))

  const streams = await openMany(EVENT_STREAMS, false)
  const sockets = await openMany(WEB_SOCKETS, true)
  const all = [...streams, ...sockets]
  say(`${all.length} are open`)
  await wait(5_000)
  const rss = layers.map(layer => layer.rssMiB)
  const held = await Promise.all(layers.map(layer => layer.held()))
  const [cpuBefore, startedMs] = [layers.map(layer => layer.cpuSeconds), performance.now()]
  await wait(minutes * 60_000)
  const seconds = (performance.now() - startedMs) / 1_000
  const busy = layers.map((layer, i) => ((layer.cpuSeconds - cpuBefore[i]!) / seconds) * 100)
  const lost = all.filter(({ isGone }) => isGone).length
  say(`silent for ${Math.round(seconds)} s: ${lost} lost`)

  origin.sayAll('data: bye\n\n')
  for (const { socket } of sockets) socket.write(PING)
  const reached = (): number =>
    streams.filter(({ text }) => text.includes('data: bye\n\n')).length +
    sockets.filter(({ text }) => text === PING.toString('latin1')).length
  await until(() => reached() === all.length, { what: 'what is said to reach all' }).catch(() => undefined)
  const unreached = all.length - reached()
  for (const { socket } of all) socket.destroy()
  await stand.quiet()
  const after = await Promise.all(layers.map(layer => layer.held()))
  const each = (mib: number, i: number, of: 'held' | 'rss'): number => ((mib - before[i]![of]) * 1_024) / all.length
  return [
    { what: `connections lost in ${Math.round(seconds)} s of silence`, value: lost, unit: `of ${all.length}`, atMost: 0 },
    { what: 'connections that a word afterwards did not reach', value: unreached, unit: `of ${all.length}`, atMost: 0 },
    { what: 'connections that had to be asked for again', value: refused, unit: `of ${all.length}` },
    ...(['outer', 'inner'] as const).flatMap((name, i): Figure[] => [
      { what: `held for each, ${name} layer`, value: each(held[i]!, i, 'held'), unit: 'KiB', atMost: MOST_KIB },
      { what: `resident memory for each, ${name} layer`, value: each(rss[i]!, i, 'rss'), unit: 'KiB' },
      { what: `held more than before when all are gone, ${name} layer`, value: after[i]! - before[i]!.held, unit: 'MiB', atMost: 32 },
      { what: `CPU while all are silent, ${name} layer`, value: busy[i]!, unit: '% of a core' },
    ]),
  ]
}
