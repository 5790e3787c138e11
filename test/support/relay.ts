/**
 * A TCP relay that behaves as a network link: delay, rate, a limited number of bytes in flight, black holes and cuts. The kernel here has
 * no netem; this stands between two real sockets instead, in the process of the test or of the benchmark.
 *
 * Per connection and direction there is one `Pipe`: bytes read from one socket wait in a queue until they are due and are then written
 * to the other. The rate is a property of the link: all connections of one direction share it.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { endAbruptly } from '../../src/net/linger.ts'
import { onCleanUp } from './cleanup.ts'
import { ownPort } from './ports.ts'

export interface RelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** Time that a byte takes from one side to the other, in each direction: half the round trip. Default 0. */
  readonly delayMs?: number
  /** Rate of each direction, shared by all connections. Default: unlimited. */
  readonly bytesPerSecond?: number
  /** Bytes per connection and direction that were read but not yet taken by the receiver's kernel. Default 1 MiB, with a delay 16 MiB. */
  readonly maxInFlightBytes?: number
  /** Hand over in pieces of this many bytes, one per turn of the event loop, to fragment whatever passes. */
  readonly splitAt?: number
  /** The address of this machine from which the next connection to the target goes. Default: the system chooses. */
  readonly from?: () => string
  /** Default 127.0.0.1 and a free port. */
  readonly listen?: { readonly host?: string; readonly port?: number }
}

export interface Relay {
  readonly port: number
  /** Connections open at the moment. */
  readonly connections: number
  /** Connections accepted since the start. */
  readonly accepted: number
  /** Bytes handed over from clients to the target, and back. */
  readonly bytes: { readonly up: number; readonly down: number }
  /** For bytes that are read from now on; what is in flight keeps its order. */
  setDelay(delayMs: number): void
  /** The same for the rate of each direction; undefined: unlimited. */
  setRate(bytesPerSecond: number | undefined): void
  /** The same for pieces of so many bytes; undefined: whole. */
  setSplit(bytes: number | undefined): void
  /** Changes one bit of the next bytes that are read in this direction. */
  corrupt(direction: 'up' | 'down'): void
  /** Resets whoever connects, as long as it is true. */
  refuses: boolean
  /**
   * Becomes a black hole: sockets stay open, nothing is read or handed over, not even an end; new connections hang. With a direction, bytes
   * of the other one still pass: half-open.
   */
  pause(direction?: 'up' | 'down'): void
  /** Ends the black hole; what was in flight arrives now. */
  resume(): void
  /** Resets every connection on both sides, at once; new ones are accepted. */
  cut(): void
  /** Ends every connection on both sides in good order, behind what was handed over. */
  end(): void
  /** Stops listening and resets every connection. */
  close(): Promise<void>
}

interface Direction {
  /** When the line has sent all it was given (ms of performance.now): how the rate is kept. */
  lineFreeAt: number
  delivered: number
  isPaused: boolean
  /** One bit of the next bytes is to be changed. */
  isCorrupting: boolean
}

interface Line {
  delayMs: number
  bytesPerSecond: number
  readonly maxInFlightBytes: number | undefined
  splitAt: number | undefined
}

/** Bytes, an orderly end, or a reset, and when it arrives. */
interface Parcel {
  readonly dueAt: number
  readonly content: Buffer | 'end' | 'reset'
}

// setTimeout counts whole milliseconds: half of one early is as close as it gets.
const EARLY_MS = 0.5

class Pipe {
  #parcels: Parcel[] = []
  #queuedBytes = 0
  #lastDueAt = 0
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined
  #isStopped = false

  constructor(
    private readonly line: Line,
    private readonly direction: Direction,
    private readonly from: Socket,
    private readonly to: Socket,
  ) {
    from.on('data', (bytes: Buffer) => this.#read(bytes))
    from.on('end', () => this.#push('end', 0))
    from.on('error', () => this.#push('reset', 0))
  }

  /** Reading goes on when there is room and the line is not paused; a queue goes on being handed over. */
  proceed(): void {
    if (this.#isStopped) return
    this.#updateReading()
    this.#schedule()
  }

  /** Stops reading and handing over where its direction is paused. */
  hold(): void {
    if (!this.direction.isPaused) return
    this.#clearTimer()
    this.from.pause()
  }

  /** Forgets what is in flight. */
  stop(): void {
    this.#isStopped = true
    this.#clearTimer()
    this.#parcels = []
  }

  #read(bytes: Buffer): void {
    const { delayMs, bytesPerSecond, splitAt } = this.line
    const { isPaused } = this.direction
    if (this.direction.isCorrupting) {
      this.direction.isCorrupting = false
      bytes[bytes.length >> 1]! ^= 1
    }
    if (delayMs === 0 && bytesPerSecond === Infinity && splitAt === undefined && !isPaused && this.#parcels.length === 0) {
      this.#write(bytes)
    } else {
      // A slow line hands over little by little, not a read of 64 KiB at once.
      const size = splitAt ?? Math.max(1, Math.floor(Math.min(bytes.length, bytesPerSecond / 100)))
      for (let start = 0; start < bytes.length; start += size) {
        const piece = bytes.subarray(start, start + size)
        this.#push(piece, piece.length)
      }
    }
    this.#updateReading()
  }

  #push(content: Parcel['content'], length: number): void {
    if (this.#isStopped) return
    const now = performance.now()
    this.direction.lineFreeAt = Math.max(now, this.direction.lineFreeAt) + (length / this.line.bytesPerSecond) * 1000
    // A later parcel never overtakes an earlier one, though the delay may have become shorter.
    this.#lastDueAt = Math.max(this.#lastDueAt, this.direction.lineFreeAt + this.line.delayMs)
    this.#parcels.push({ dueAt: this.#lastDueAt, content })
    this.#queuedBytes += length
    this.#schedule()
  }

  #schedule(): void {
    const next = this.#parcels[0]
    if (this.#timer !== undefined || next === undefined || this.direction.isPaused) return
    const waitMs = next.dueAt - performance.now()
    const deliver = (): void => {
      this.#timer = undefined
      this.#deliver()
    }
    this.#timer = waitMs <= EARLY_MS ? setImmediate(deliver) : setTimeout(deliver, waitMs)
  }

  #deliver(): void {
    const now = performance.now() + EARLY_MS
    let count = 0
    for (const { dueAt, content } of this.#parcels) {
      if (dueAt > now) break
      count++
      if (content === 'end') this.to.end()
      else if (content === 'reset') endAbruptly(this.to)
      else {
        this.#queuedBytes -= content.length
        this.#write(content)
      }
      if (this.line.splitAt !== undefined) break
    }
    this.#parcels.splice(0, count)
    this.#updateReading()
    this.#schedule()
  }

  #write(bytes: Buffer): void {
    this.direction.delivered += bytes.length
    if (this.to.writable) this.to.write(bytes, () => this.#updateReading())
  }

  #updateReading(): void {
    const { delayMs, maxInFlightBytes = delayMs > 0 ? 16 << 20 : 1 << 20 } = this.line
    const isFull = this.to.writable && this.#queuedBytes + this.to.writableLength >= maxInFlightBytes
    if (isFull || this.direction.isPaused) this.from.pause()
    else if (this.from.isPaused()) this.from.resume()
  }

  #clearTimer(): void {
    // Either function clears only its own kind.
    clearTimeout(this.#timer as NodeJS.Timeout)
    clearImmediate(this.#timer as NodeJS.Immediate)
    this.#timer = undefined
  }
}

/** One accepted connection: two sockets and a pipe each way. */
class Connection {
  readonly #sockets: readonly [Socket, Socket]
  readonly #pipes: readonly [Pipe, Pipe]

  constructor(line: Line, directions: readonly [Direction, Direction], client: Socket, target: Socket, onClosed: () => void) {
    this.#sockets = [client, target]
    this.#pipes = [new Pipe(line, directions[0], client, target), new Pipe(line, directions[1], target, client)]
    let open = 2
    for (const socket of this.#sockets) {
      socket.setNoDelay(true)
      socket.once('close', () => {
        if (--open === 0) onClosed()
      })
    }
    this.hold()
  }

  hold(): void {
    for (const pipe of this.#pipes) pipe.hold()
  }

  proceed(): void {
    for (const pipe of this.#pipes) pipe.proceed()
  }

  cut(): void {
    for (const pipe of this.#pipes) pipe.stop()
    for (const socket of this.#sockets) endAbruptly(socket)
  }

  end(): void {
    for (const pipe of this.#pipes) pipe.stop()
    for (const socket of this.#sockets) socket.destroySoon()
  }
}

/** Starts a relay on a free port of 127.0.0.1; it is closed after the test file. */
export const startRelay = async (options: RelayOptions): Promise<Relay> => {
  const line: Line = {
    delayMs: options.delayMs ?? 0,
    bytesPerSecond: options.bytesPerSecond ?? Infinity,
    maxInFlightBytes: options.maxInFlightBytes,
    splitAt: options.splitAt,
  }
  const up: Direction = { lineFreeAt: 0, delivered: 0, isPaused: false, isCorrupting: false }
  const down: Direction = { lineFreeAt: 0, delivered: 0, isPaused: false, isCorrupting: false }
  let refuses = false
  const connections = new Set<Connection>()
  let accepted = 0

  // Half-open on both sides: an end is a parcel like any other and arrives when it is due.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
    if (refuses) return void client.resetAndDestroy()
    accepted++
    const from = options.from === undefined ? {} : { localAddress: options.from() }
    const target = connect({ ...options.target, ...from, allowHalfOpen: true, noDelay: true })
    const connection = new Connection(line, [up, down], client, target, () => connections.delete(connection))
    connections.add(connection)
  })
  const port = options.listen?.port ?? (await ownPort())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, options.listen?.host ?? '127.0.0.1', resolve)
  })

  const cut = (): void => {
    for (const connection of connections) connection.cut()
  }
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= new Promise(resolve => {
      server.close(() => resolve())
      cut()
    }))
  onCleanUp(close)

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections.size
    },
    get accepted() {
      return accepted
    },
    bytes: {
      get up() {
        return up.delivered
      },
      get down() {
        return down.delivered
      },
    },
    setDelay: delayMs => {
      line.delayMs = delayMs
    },
    setRate: bytesPerSecond => {
      line.bytesPerSecond = bytesPerSecond ?? Infinity
    },
    setSplit: bytes => {
      line.splitAt = bytes
    },
    corrupt: direction => {
      ;(direction === 'up' ? up : down).isCorrupting = true
    },
    get refuses() {
      return refuses
    },
    set refuses(value) {
      refuses = value
    },
    pause: direction => {
      if (direction !== 'down') up.isPaused = true
      if (direction !== 'up') down.isPaused = true
      for (const connection of connections) connection.hold()
    },
    resume: () => {
      up.isPaused = false
      down.isPaused = false
      for (const connection of connections) connection.proceed()
    },
    cut,
    end: () => {
      for (const connection of connections) connection.end()
    },
    close,
  }
}
