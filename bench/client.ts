/** A process that makes requests as its parent asks by IPC: bulk up and down, clients that stall, and small ones where wrk is missing. */
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { RunningFlood, type Flood, type FloodResult } from './floods.ts'
import { parseAnswer, requestHead, runLoad, type LoadOptions, type LoadResult, type Target } from './load.ts'
import { PacedLoad, type PacedResult } from './paced-load.ts'
import { runMessages, type MessageOptions, type MessageResult } from './websocket-load.ts'
import { workOnTcp, type TcpJob, type TcpResult } from './tcp-jobs.ts'

/** What can be asked. `pace` and `flood` answer at once and go on until `pace-end` and `flood-end`; `hold-…` and `loop-…` answer when all are under way and go on until `release`; `so-far` says what came until now. */
export type Job =
  | { readonly kind: 'load'; readonly target: Target; readonly options: LoadOptions }
  | { readonly kind: 'messages'; readonly target: Target; readonly options: MessageOptions }
  | { readonly kind: 'download'; readonly target: Target; readonly times: number }
  | { readonly kind: 'upload'; readonly target: Target; readonly times: number; readonly bytes: number }
  | { readonly kind: 'loop-downloads'; readonly target: Target; readonly count: number }
  | { readonly kind: 'hold-downloads'; readonly target: Target; readonly count: number }
  | { readonly kind: 'hold-uploads'; readonly target: Target; readonly count: number; readonly bytes: number }
  | { readonly kind: 'pace'; readonly target: Target; readonly perSecond: number; readonly isTls?: boolean }
  | { readonly kind: 'pace-end' }
  | { readonly kind: 'flood'; readonly flood: Flood }
  | { readonly kind: 'flood-end' }
  | { readonly kind: 'so-far' }
  | { readonly kind: 'release' }
  | TcpJob

/** Bytes of bodies, and the time they took. Of `release`: since the job that it ends began. */
export interface Transferred {
  readonly bytes: number
  readonly seconds: number
}

/** The answer to a job. */
export type Reply =
  | { readonly error: string }
  | { readonly load: LoadResult }
  | { readonly messages: MessageResult }
  | { readonly transferred: Transferred }
  | { readonly tcp: TcpResult }
  | { readonly paced: PacedResult }
  | { readonly flooded: FloodResult }

const READ_BYTES = 262_144
const FLOODER_PRIORITY = 10
const CHUNK = Buffer.alloc(65_536, 'socket-gateway ')
// Each connection fills the same one: what was read is counted and forgotten.
const DUMP = Buffer.allocUnsafe(READ_BYTES)

const NOTHING: Reply = { transferred: { bytes: 0, seconds: 0 } }

let held: Socket[] = []
let heldBytes = 0
let heldSince = 0
let pace: PacedLoad | undefined
let flood: RunningFlood | undefined

/** One request on a connection of its own; `begin` sends what comes after the head. Resolves with the length of the answer's body. */
const exchange = (port: number, head: string, { onSocket, begin, onBytes }: ExchangeHooks = {}): Promise<number> =>
  new Promise((resolve, reject) => {
    let text = ''
    let left = -1
    let length = 0
    const count = (bytes: number): void => {
      onBytes?.(bytes)
      left -= bytes
      if (left > 0) return
      socket.destroy()
      resolve(length)
    }
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: DUMP,
        callback: (size, buffer) => {
          if (left >= 0) count(size)
          else {
            text += Buffer.from(buffer.subarray(0, size)).toString('latin1')
            try {
              const answer = parseAnswer(text)
              if (answer === undefined) return true
              length = left = answer.bodyBytes
              count(text.length - answer.headBytes)
            } catch (error) {
              socket.destroy(error as Error)
            }
          }
          return true
        },
      },
    })
    onSocket?.(socket)
    socket.write(head, 'latin1')
    begin?.(socket)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`cut with ${left} bytes to come`)))
  })

interface ExchangeHooks {
  readonly onSocket?: (socket: Socket) => void
  readonly begin?: (socket: Socket) => void
  readonly onBytes?: (bytes: number) => void
}

/** Writes `bytes` as fast as the socket takes them. */
const pump = (socket: Socket, bytes: number): void => {
  let left = bytes
  const more = (): void => {
    while (left > 0 && socket.writable) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!socket.write(chunk)) return
    }
  }
  socket.on('drain', more)
  more()
}

const uploadHead = (target: Target, bytes: number): string => requestHead(target, 'POST', [`Content-Length: ${bytes}`])

/** Runs `once` so many times, one after the other. */
const timed = async (times: number, once: () => Promise<number>): Promise<Reply> => {
  let bytes = 0
  const start = performance.now()
  for (let i = 0; i < times; i++) bytes += await once()
  return { transferred: { bytes, seconds: (performance.now() - start) / 1000 } }
}

const hold = async (count: number, open: () => Socket): Promise<Reply> => {
  heldBytes = 0
  heldSince = performance.now()
  const opened = Array.from({ length: count }, open)
  held.push(...opened)
  await Promise.all(opened.map(socket => new Promise((resolve, reject) => void socket.once('connect', resolve).once('error', reject))))
  for (const socket of opened) socket.on('error', () => undefined)
  return NOTHING
}

/** A socket that never reads. */
const unread = (port: number, head: string): Socket => {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.pause()
  socket.write(head, 'latin1')
  return socket
}

/** Downloads again and again until it is released. */
const loop = async (target: Target, isHeld: () => boolean): Promise<void> => {
  const head = requestHead(target)
  const onBytes = (bytes: number): void => {
    heldBytes += bytes
  }
  while (isHeld()) await exchange(target.port, head, { onBytes, onSocket: socket => held.push(socket) })
}

const work = async (job: Job): Promise<Reply> => {
  switch (job.kind) {
    case 'load':
      return { load: await runLoad(job.target, job.options) }
    case 'messages':
      return { messages: await runMessages(job.target, job.options) }
    case 'download':
      return timed(job.times, () => exchange(job.target.port, requestHead(job.target)))
    case 'upload':
      return timed(job.times, async () => {
        await exchange(job.target.port, uploadHead(job.target, job.bytes), { begin: socket => pump(socket, job.bytes) })
        return job.bytes
      })
    case 'loop-downloads': {
      const mine = (held = [])
      heldBytes = 0
      heldSince = performance.now()
      // The one that is cut by `release` fails, as it should.
      for (let i = 0; i < job.count; i++) loop(job.target, () => mine === held).catch(() => undefined)
      return NOTHING
    }
    case 'pace':
      pace = new PacedLoad(job.target, job.perSecond, job.isTls)
      return NOTHING
    case 'pace-end':
      return { paced: await pace!.end() }
    case 'flood':
      // Strangers have machines of their own: what their half costs must not come out of the time of what is measured.
      setPriority(FLOODER_PRIORITY)
      flood = new RunningFlood(job.flood)
      return NOTHING
    case 'flood-end':
      return { flooded: await flood!.end() }
    case 'so-far':
      return { transferred: { bytes: heldBytes, seconds: (performance.now() - heldSince) / 1000 } }
    case 'hold-downloads':
      return hold(job.count, () => unread(job.target.port, requestHead(job.target)))
    case 'hold-uploads':
      return hold(job.count, () => {
        const socket = unread(job.target.port, uploadHead(job.target, job.bytes))
        pump(socket, job.bytes)
        return socket
      })
    case 'release': {
      const sockets = held
      held = []
      const transferred = { bytes: heldBytes, seconds: (performance.now() - heldSince) / 1000 }
      for (const socket of sockets) socket.destroy()
      return { transferred }
    }
    default:
      return { tcp: await workOnTcp(job) }
  }
}

process.on('message', (job: Job) => {
  work(job).then(
    reply => process.send?.(reply),
    (thrown: unknown) => process.send?.({ error: thrown instanceof Error ? thrown.message : String(thrown) } satisfies Reply),
  )
})
process.on('disconnect', () => process.exit())
