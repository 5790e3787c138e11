/** What bench/client.ts does on bare TCP connections to bench/tcp-origin.ts. */
import { connect, type Socket } from 'node:net'
import { percentile } from './stats.ts'
import { CHUNK, pour } from './pour.ts'

/** What can be asked. */
export type TcpJob =
  | { readonly kind: 'tcp-download'; readonly port: number; readonly bytes: number }
  | { readonly kind: 'tcp-upload'; readonly port: number; readonly bytes: number }
  | { readonly kind: 'tcp-echo'; readonly port: number; readonly bytes: number; readonly seconds: number }
  | { readonly kind: 'tcp-hold'; readonly port: number; readonly count: number }
  | { readonly kind: 'tcp-release' }

/** What came of it. */
export interface TcpResult {
  readonly bytes: number
  readonly seconds: number
  /** Of echoes, milliseconds. */
  readonly p50Ms?: number
  readonly p99Ms?: number
}

const READ_BYTES = 262_144
const DUMP = Buffer.allocUnsafe(READ_BYTES)

let held: Socket[] = []

/** A connection whose bytes are counted and forgotten. */
const open = (port: number, onBytes: (bytes: number, chunk: Buffer) => void): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const callback = (size: number, buffer: Uint8Array): boolean => {
      onBytes(size, Buffer.from(buffer.buffer, buffer.byteOffset, size))
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true, onread: { buffer: DUMP, callback } })
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })

const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('end', () => {
      socket.end()
      resolve()
    })
    socket.once('error', reject)
  })

const seconds = (since: number): number => (performance.now() - since) / 1000

const download = async (port: number, bytes: number): Promise<TcpResult> => {
  const start = performance.now()
  let read = 0
  const socket = await open(port, size => (read += size))
  socket.write(`send ${bytes}\n`)
  await ended(socket)
  if (read !== bytes) throw new Error(`${read} of ${bytes} bytes came`)
  return { bytes, seconds: seconds(start) }
}

const upload = async (port: number, bytes: number): Promise<TcpResult> => {
  const start = performance.now()
  let text = ''
  const socket = await open(port, (_size, chunk) => (text += chunk.toString('latin1')))
  socket.write('sink\n')
  pour(socket, bytes)
  await ended(socket)
  if (Number(text) !== bytes) throw new Error(`${text.trim()} of ${bytes} bytes arrived`)
  return { bytes, seconds: seconds(start) }
}

const echo = async (port: number, bytes: number, forSeconds: number): Promise<TcpResult> => {
  let left = 0
  let back = (): void => undefined
  const socket = await open(port, size => {
    left -= size
    if (left === 0) back()
  })
  socket.write('echo\n')
  const payload = CHUNK.subarray(0, bytes)
  const times: number[] = []
  const start = performance.now()
  while (seconds(start) < forSeconds) {
    const sent = performance.now()
    left = bytes
    await new Promise<void>(resolve => {
      back = resolve
      socket.write(payload)
    })
    times.push(performance.now() - sent)
  }
  socket.destroy()
  return { bytes: bytes * times.length, seconds: seconds(start), p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) }
}

const hold = async (port: number, count: number): Promise<TcpResult> => {
  const start = performance.now()
  const openOne = async (): Promise<void> => {
    let back = (): void => undefined
    const answered = new Promise<void>(resolve => (back = resolve))
    const socket = await open(port, () => back())
    held.push(socket)
    socket.on('error', () => undefined)
    socket.write('echo\nx')
    await answered
  }
  for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: Math.min(50, count - i) }, openOne))
  return { bytes: count, seconds: seconds(start) }
}

/** Does one job. `tcp-hold` answers when every connection has been echoed once; they stay until `tcp-release`. */
export const workOnTcp = async (job: TcpJob): Promise<TcpResult> => {
  switch (job.kind) {
    case 'tcp-download':
      return download(job.port, job.bytes)
    case 'tcp-upload':
      return upload(job.port, job.bytes)
    case 'tcp-echo':
      return echo(job.port, job.bytes, job.seconds)
    case 'tcp-hold':
      return hold(job.port, job.count)
    case 'tcp-release':
      for (const socket of held) socket.destroy()
      held = []
      return { bytes: 0, seconds: 0 }
  }
}
