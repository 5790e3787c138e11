import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { readInto } from '../../net/read-into.ts'
import { DirectParser } from './direct-parser.ts'

/** Heads of requests that are given to the parser at a time. */
const MAX_HEADS = 8
/** So many bytes hold no more of them: a request has 18 at least. */
const SMALL_BYTES = 18 * MAX_HEADS
/** Every head ends with it. */
const END_OF_HEAD = Buffer.from('\n\r\n', 'latin1')

/** Bytes that wait before nothing more is read, and before the connection is given up: node:http reads on by itself now and then. */
const PAUSE_BYTES = 65_536
const MAX_HELD_BYTES = 4 * PAUSE_BYTES

/** The note of node:http that it wants no more before the client has read; it asserts that it gets none. */
interface WithPause {
  readonly _paused?: boolean
}

/** The state of a connection that its gate asks for. */
export interface PipelineGateOptions {
  /** As many requests wait as may. */
  readonly isFull: () => boolean
  /** Nothing that comes is looked at any more. */
  readonly isOver: () => boolean
  /** The memory for what is read once the parser no longer reads by itself, which all connections share; absent: into memory of its own. */
  readonly readBuffer?: Buffer
  readonly fail: Fail
}

/**
 * Stands before the parser of one connection and gives it a few requests at a time. node:http parses whatever one read has brought, up to 64
 * KiB and three thousand requests, makes objects of all of them in one turn, and reads on after each. What has to wait, waits as bytes; the
 * socket is read meanwhile, as far as there is room, since that is how a client is seen to leave.
 *
 * Hardly any client asks again before it has its answer. So the gate is open at first, the parser reads the socket by itself, and the first
 * request that has to wait closes it.
 */
export class PipelineGate {
  readonly #deliver: (chunk: Buffer) => void
  readonly #held: Buffer[] = []
  #heldBytes = 0
  /** While the parser reads by itself. */
  #direct: DirectParser | undefined
  /** False once the connection has left HTTP. */
  #isOpen = true
  #isDelivering = false
  #hasPaused = false

  /** @param socket  as node:http has just begun to listen to it */
  constructor(
    private readonly socket: Socket,
    private readonly options: PipelineGateOptions,
  ) {
    const [deliver] = socket.listeners('data') as ((chunk: Buffer) => void)[]
    this.#deliver = deliver!
    socket.removeListener('data', this.#deliver)
    this.#direct = DirectParser.of(
      socket,
      guarded(options.fail, rest => this.#takeOver(rest)),
    )
    if (this.#direct === undefined) this.#listen()
    // By its own `on` node:http would notice, and the parser would no longer read by itself.
    else Readable.prototype.on.call(socket, 'data', this.#onData)
  }

  /** A request that was just announced has to wait: from now on the parser gets a few at a time. */
  crowd(): void {
    this.#direct?.stop()
  }

  /** Takes what was read before it stood here. */
  feed(chunk: Buffer): void {
    const isOneHead = chunk.indexOf(END_OF_HEAD, chunk.indexOf(END_OF_HEAD) + 1) < 0
    if (this.#direct !== undefined && isOneHead) this.#deliver.call(this.socket, chunk)
    else this.#read(chunk)
  }

  /** The parser no longer reads by itself. */
  close(): void {
    if (this.#direct === undefined) return
    this.#direct = undefined
    this.socket.removeListener('data', this.#onData)
    this.#listen()
    const { readBuffer } = this.options
    if (readBuffer !== undefined) readInto(this.socket, readBuffer, this.#onBorrowed)
  }

  /** The connection has left HTTP: what comes is no business of a parser. */
  release(): void {
    this.#isOpen = false
    this.#direct = undefined
    // Within a delivery the rest of it comes first.
    if (!this.#isDelivering) this.#giveBack()
  }

  /** There may be room again. */
  readonly proceed = (): void => attempt(this.options.fail, () => this.#proceed())

  #proceed(): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    try {
      while (this.#mayDeliver) this.#deliverPiece()
    } finally {
      this.#isDelivering = false
    }
    if (!this.#isOpen) return this.#giveBack()
    if (this.options.isOver()) this.#held.length = this.#heldBytes = 0
    if (this.#heldBytes === 0 && this.#hasPaused) {
      this.#hasPaused = false
      this.socket.resume()
    }
  }

  #listen(): void {
    this.socket.on('data', this.#onData)
    this.socket.on('resume', this.proceed)
  }

  /** @param rest  what was read and is not parsed */
  #takeOver(rest: Buffer): void {
    this.close()
    // A message without a body is complete only when the parser goes on, if by nothing.
    if (rest.length === 0) this.#deliver.call(this.socket, rest)
    else this.#read(rest)
  }

  readonly #onData = guarded(
    thrown => this.options.fail(thrown),
    (chunk: Buffer) => this.#read(chunk),
  )

  /** @param chunk  changes afterwards */
  readonly #onBorrowed = (chunk: Buffer): boolean => {
    if (!this.#isOpen) return false
    attempt(this.options.fail, () => {
      this.#read(chunk)
      this.#ownLast(chunk)
    })
    return true
  }

  /** Nothing that waits changes any more. */
  #ownLast(chunk: Buffer): void {
    const last = this.#held.at(-1)
    if (last?.buffer === chunk.buffer) this.#held[this.#held.length - 1] = Buffer.from(last)
  }

  #read(chunk: Buffer): void {
    this.close() // what was put back into the socket comes this way
    if (!this.#isOpen || this.options.isOver()) return
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    this.proceed()
    if (this.#heldBytes === 0) return
    if (this.#heldBytes > MAX_HELD_BYTES) this.socket.destroy()
    else if (this.#heldBytes >= PAUSE_BYTES) {
      this.#hasPaused = true
      this.socket.pause()
    }
  }

  get #mayDeliver(): boolean {
    const { socket, options } = this
    if (!this.#isOpen || this.#heldBytes === 0 || options.isOver() || options.isFull()) return false
    return (socket as WithPause)._paused !== true && (this.#hasPaused || !socket.isPaused())
  }

  #deliverPiece(): void {
    const chunk = this.#held[0]!
    const length = chunk.length <= SMALL_BYTES ? chunk.length : lengthOfPiece(chunk)
    this.#heldBytes -= length
    if (length < chunk.length) {
      this.#held[0] = chunk.subarray(length)
      return this.#deliver.call(this.socket, chunk.subarray(0, length))
    }
    if (this.#held.length === 1) this.#held.length = 0
    else this.#held.shift()
    this.#deliver.call(this.socket, chunk)
  }

  #giveBack(): void {
    this.socket.removeListener('data', this.#onData)
    this.socket.removeListener('resume', this.proceed)
    const rest = Buffer.concat(this.#held.splice(0))
    this.#heldBytes = 0
    if (rest.length > 0) this.socket.unshift(rest)
  }
}

function lengthOfPiece(chunk: Buffer): number {
  let at = 0
  for (let heads = 0; heads < MAX_HEADS; heads++) {
    const end = chunk.indexOf(END_OF_HEAD, at)
    if (end < 0) return chunk.length
    at = end + END_OF_HEAD.length
  }
  return at
}
