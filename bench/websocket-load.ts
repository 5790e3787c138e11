/** Messages over WebSockets whose origin sends every byte back: frames are made once, nothing is parsed, answers are counted. */
import { connect, type Socket } from 'node:net'
import type { Target } from './load.ts'
import { percentile } from './stats.ts'

/** How many messages at a time, over how many connections. */
export interface MessageOptions {
  readonly connections: number
  readonly seconds: number
  /** Payload of a message, 126 … 65,535. */
  readonly bytes: number
  /** Messages that a connection has under way: 1 measures the way there and back. */
  readonly inFlight: number
}

/** What came of it. */
export interface MessageResult {
  readonly messages: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
}

/** A binary message as clients send it: masked (RFC 6455 §5.2). */
export function messageFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 'x')
  frame.writeUInt16BE(0x82fe)
  frame.writeUInt16BE(bytes, 2)
  frame.writeUInt32BE(0x01020304, 4)
  return frame
}

/** The request that opens a WebSocket. */
export const upgradeHead = ({ host, path }: Target): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '',
    '',
  ].join('\r\n')

/** A connection that has switched, and to which nothing else was sent. @throws Error when the answer is another one */
const open = (target: Target): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: target.port, host: '127.0.0.1', noDelay: true })
    let text = ''
    const read = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      socket.off('data', read)
      if (text.startsWith('HTTP/1.1 101 ')) resolve(socket)
      else socket.destroy(new Error(`no WebSocket: ${text.slice(0, 200)}`))
    }
    socket.on('data', read)
    socket.on('error', reject)
    socket.write(upgradeHead(target), 'latin1')
  })

/** Sends on each connection as many messages as have come back. @throws Error when a connection fails */
export const runMessages = async (target: Target, { connections, seconds, bytes, inFlight }: MessageOptions): Promise<MessageResult> => {
  const frame = messageFrame(bytes)
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(target)))
  const latencies: number[] = []
  let isOver = false
  const start = performance.now()
  await new Promise<void>((resolve, reject) => {
    for (const socket of sockets) {
      const sentAt: number[] = []
      let received = 0
      const send = (): void => {
        sentAt.push(performance.now())
        socket.write(frame)
      }
      socket.on('data', (chunk: Buffer) => {
        received += chunk.length
        const now = performance.now()
        while (received >= frame.length && !isOver) {
          received -= frame.length
          latencies.push((now - sentAt.shift()!) * 1000)
          send()
        }
      })
      socket.on('close', () => {
        if (!isOver) reject(new Error('the connection was closed'))
      })
      for (let i = 0; i < inFlight; i++) send()
    }
    setTimeout(resolve, seconds * 1000)
  })
  isOver = true
  const elapsed = (performance.now() - start) / 1000
  for (const socket of sockets) socket.destroy()
  return { messages: latencies.length, seconds: elapsed, p50Us: percentile(latencies, 0.5), p99Us: percentile(latencies, 0.99) }
}
