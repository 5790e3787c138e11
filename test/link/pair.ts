/** Two ends of a real link: socket.io on both sides, one port of 127.0.0.1, a relay between them where a test asks for one. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { dial } from '../../src/link/dialer.ts'
import { createListener } from '../../src/link/listener.ts'
import type { Link } from '../../src/mux/link.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { startRelay, type Relay, type RelayOptions } from '../support/relay.ts'
import { until } from '../support/wait.ts'

/** A listener and the links that it accepted. */
export interface Listening {
  readonly port: number
  readonly server: Server
  readonly links: Link[]
  /** Sockets of the server that are open. */
  sockets(): Promise<number>
  close(): Promise<void>
}

/** Listens on a free port; `admit` says yes unless given. */
export const startListener = async (
  admit: (request: IncomingMessage) => string | undefined = () => undefined,
  onLink: (link: Link) => void = () => undefined,
): Promise<Listening> => {
  const server = createServer((_request, response) => response.writeHead(404).end())
  const links: Link[] = []
  const listener = createListener(server, {
    admit,
    onLink: link => {
      links.push(link)
      onLink(link)
    },
    onFault: thrown => {
      throw thrown
    },
  })
  const port = await listen(server)
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= listener.close())
  onCleanUp(close)
  return {
    port,
    server,
    links,
    close,
    sockets: () =>
      new Promise((resolve, reject) => server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))),
  }
}

/** Dials `port`; resolves to the link. @throws Error with the reason of the failure */
export const dialLink = (port: number, path = '', host = '127.0.0.1'): Promise<Link> =>
  new Promise((resolve, reject) => {
    const giveUp = dial({ url: `ws://${host}:${port}${path}` }, { onLink: resolve, onFailure: reason => reject(new Error(reason)) })
    onCleanUp(giveUp)
  })

export interface LinkPair {
  readonly dialled: Link
  readonly accepted: Link
  readonly listening: Listening
  readonly relay: Relay
}

/** A pair of links through a relay. */
export const linkPair = async (options: Omit<RelayOptions, 'target'> = {}): Promise<LinkPair> => {
  const listening = await startListener()
  const relay = await startRelay({ target: { host: '127.0.0.1', port: listening.port }, ...options })
  const dialled = await dialLink(relay.port)
  const accepted = await until(() => listening.links[0])
  return { dialled, accepted, listening, relay }
}

/** Everything that comes out of `link` from now on. */
export const inbox = (link: Link): { readonly messages: Buffer[]; readonly closed: string[]; drains: number } => {
  const box = { messages: [] as Buffer[], closed: [] as string[], drains: 0 }
  link.onMessage = message => box.messages.push(message)
  link.onClose = reason => box.closed.push(reason)
  link.onDrain = () => {
    box.drains++
  }
  return box
}

// A prime number of bytes, so that no two places a power of two apart are alike.
const BASE = Buffer.alloc(65_521)
let state = 1
for (let i = 0; i < BASE.length; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  BASE[i] = state >>> 24
}

/** `length` bytes that differ from place to place and from seed to seed. */
export const pattern = (length: number, seed: number): Buffer => {
  const start = (seed * 7_919) % BASE.length
  return Buffer.alloc(length, Buffer.concat([BASE.subarray(start), BASE.subarray(0, start)]))
}
