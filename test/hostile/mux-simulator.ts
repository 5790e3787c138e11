/**
 * Two sessions of the mux in virtual time over a scheduled link, driven by commands at both ends, and a model that knows what each half of each
 * stream was given. A schedule is a list of numbers, each of which is one command: so a seed makes it, and fast-check can make it shorter.
 */
import { GatewayError } from '../../src/errors.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { Session } from '../../src/mux/session.ts'
import { DEFAULT_TIMING } from '../../src/mux/liveness.ts'
import { Recorder } from '../mux/ends.ts'
import { scheduledLink, type ScheduledEnd } from './scheduled-link.ts'
import { VirtualTime } from './virtual-time.ts'

/** One direction of one stream. */
interface Half {
  readonly seed: number
  writtenBytes: number
  hasEnded: boolean
}

/** One end of one stream, as the model has it. */
class Side extends Recorder {
  readonly sent: Half
  /** This end has asked for a reset. */
  hasReset = false
  checkedBytes = 0
  readonly wrong: string[] = []

  constructor(
    readonly stream_: number,
    seed: number,
    private readonly peerSeed: number,
  ) {
    super(false)
    this.sent = { seed, writtenBytes: 0, hasEnded: false }
  }

  get isOver(): boolean {
    return this.hasReset || this.resets.length > 0
  }

  override onData(chunk: Buffer): void {
    if (this.ends > 0 || this.isOver) this.wrong.push('bytes behind the end')
    if (!chunk.equals(bytesAt(this.peerSeed, this.checkedBytes, chunk.length))) this.wrong.push(`a wrong byte behind ${this.checkedBytes}`)
    this.checkedBytes += chunk.length
    super.onData(chunk)
    this.chunks.length = 0
  }

  override onEnd(): void {
    if (this.isOver) this.wrong.push('an end behind a reset')
    super.onEnd()
  }

  override onReset(code: never, reason: string): void {
    if (this.hasReset) this.wrong.push('told of a reset that it asked for itself')
    super.onReset(code, reason)
  }
}

interface Exchange {
  readonly opener: Side
  acceptor: Side | undefined
}

const PATTERN = Buffer.alloc(251 + 200_000, Buffer.from(Array.from({ length: 251 }, (_, i) => i)))
const bytesAt = (seed: number, at: number, length: number): Buffer => {
  const start = (seed + at) % 251
  return PATTERN.subarray(start, start + length)
}

class SimulatedSession {
  readonly budget = new GrowthBudget(262_144)
  readonly faults: unknown[] = []
  readonly closed: string[] = []
  readonly session: Session

  constructor(
    readonly role: 'outer' | 'inner',
    readonly link: ScheduledEnd,
    time: VirtualTime,
    accept: (payload: Buffer) => Side,
  ) {
    this.session = new Session(link, {
      role,
      limits: LIMITS,
      peerLimits: LIMITS,
      budget: this.budget,
      clock: () => time.nowMs,
      timing: DEFAULT_TIMING,
      accept: (payload, stream) => {
        const side = accept(payload)
        side.stream = stream
        return side
      },
      onClose: code => this.closed.push(code),
      onFault: thrown => this.faults.push(thrown),
    })
  }
}

const LIMITS = { streams: 12, windowBytes: 8_192 }
const SIZES = [1, 1, 60, 700, 5_000, 20_000, 90_000] as const
const PAUSES_MS = [1, 5, 40, 260, 3_000, 11_000, 31_000] as const
/** More than this in one schedule tells nothing new. */
const MOST_BYTES = 1_500_000

/** Runs one schedule. @returns what was wrong, in words: nothing, if all is well */
export class Simulation {
  readonly time = new VirtualTime()
  readonly ends: readonly [SimulatedSession, SimulatedSession]
  readonly #exchanges: Exchange[] = []
  readonly wrong: string[] = []
  #writtenBytes = 0
  /** Somebody has ended the session or the link, or has falsified what was on it: streams may be cut. */
  #isBroken = false

  constructor() {
    this.time.begin()
    const [a, b] = scheduledLink()
    const accept = (payload: Buffer): Side => {
      const exchange = this.#exchanges[Number(payload.toString().slice(2))]
      // A falsified OPEN names whatever it likes.
      if (exchange === undefined || exchange.acceptor !== undefined) throw new GatewayError('BAD_REQUEST', 'no such exchange')
      return (exchange.acceptor = new Side(0, exchange.opener.sent.seed + 7, exchange.opener.sent.seed))
    }
    this.ends = [new SimulatedSession('outer', a, this.time, accept), new SimulatedSession('inner', b, this.time, accept)]
  }

  /** Runs `commands`, then lets everything come to rest and looks at the books. @param isHostile  messages may be falsified on the way */
  run(commands: readonly number[], isHostile = false): readonly string[] {
    try {
      for (const command of commands) this.#do(command, isHostile)
      this.#settle(isHostile ? 60 : 600)
      // What was falsified may have named streams that the other end knows nothing of.
      if (isHostile) {
        this.#isBroken = true
        for (const { session } of this.ends) session.destroy('GOING_AWAY', 'the schedule is over')
      }
      if (this.ends.some(({ session }) => session.streamCount > 0)) this.wrong.push('never came to rest')
      this.#judge()
    } catch (thrown) {
      this.wrong.push(`thrown: ${(thrown as Error).stack ?? String(thrown)}`)
    } finally {
      this.time.end()
    }
    return this.wrong
  }

  /** Bits of a command: what (6), which end (1), which stream (5), how much (8), where a falsification is (10). */
  #do(command: number, isHostile: boolean): void {
    const what = command & 63
    const end = this.ends[(command >> 6) & 1]!
    const much = (command >> 12) & 255
    if (what < 8) return this.#open(end, what === 0, much)
    if (what < 22) return this.#write(this.#side(command), SIZES[much % SIZES.length]!)
    if (what < 26) return this.#end(this.#side(command), what === 25)
    if (what < 36) return this.#side(command)?.consume(SIZES[much % SIZES.length])
    if (what < 38) return this.#side(command)?.thaw()
    if (what < 40) return this.#reset(this.#side(command))
    if (what < 42) return this.#head(this.#side(command), what === 40)
    if (what < 47) return end.link.take()
    if (what < 55) {
      end.link.take()
      for (let i = 0; i <= much % 4; i++) end.link.deliver(isHostile && much > 200 ? message => this.#falsify(message, command) : undefined)
      return
    }
    if (what < 60) return void (this.time.turn(), this.time.turn())
    if (what < 62) return this.#pause(PAUSES_MS[much % PAUSES_MS.length]!)
    if (what === 62) return this.#breakDown(end, much)
    end.session.note(Buffer.from('note'))
  }

  /** Time passes; in the longer pauses the link is no black hole, which it would be given up for. */
  #pause(ms: number): void {
    if (ms < 1_000) return this.time.advance(ms)
    for (let left = ms; left > 0; left -= 500) {
      this.time.advance(500)
      this.time.turn()
      for (const { link } of this.ends) {
        link.take()
        while (link.deliver());
      }
    }
  }

  #side(command: number): Side | undefined {
    const exchange = this.#exchanges[((command >> 7) & 31) % Math.max(1, this.#exchanges.length)]
    return (command & 64) === 0 ? exchange?.opener : exchange?.acceptor
  }

  #open(end: SimulatedSession, hasEnded: boolean, much: number): void {
    if (!end.session.isOpen || !end.session.hasRoom || this.#exchanges.length >= 32) return
    const side = new Side(0, much, much + 7)
    const number = this.#exchanges.push({ opener: side, acceptor: undefined }) - 1
    side.stream = end.session.open(Buffer.from(`x ${number}`), side, { end: hasEnded })
    side.sent.hasEnded = hasEnded
  }

  #write(side: Side | undefined, bytes: number): void {
    const stream = side?.stream
    if (side === undefined || stream === undefined || side.sent.hasEnded || stream.isClosed || this.#writtenBytes > MOST_BYTES) return
    stream.write(bytesAt(side.sent.seed, side.sent.writtenBytes, bytes))
    side.sent.writtenBytes += bytes
    this.#writtenBytes += bytes
  }

  #end(side: Side | undefined, hasTrailers: boolean): void {
    if (side?.stream === undefined || side.sent.hasEnded || side.stream.isClosed) return
    side.stream.end(hasTrailers ? Buffer.from('trailers') : undefined)
    side.sent.hasEnded = true
  }

  #head(side: Side | undefined, isInfo: boolean): void {
    if (side?.stream === undefined || side.sent.hasEnded || side.stream.isClosed) return
    side.stream.sendHead(Buffer.from('head'), { info: isInfo })
  }

  #reset(side: Side | undefined): void {
    if (side?.stream === undefined || side.stream.isClosed) return
    side.hasReset = true
    side.stream.reset('CANCELLED')
  }

  /** Drain, destroy, or lose the link. */
  #breakDown(end: SimulatedSession, much: number): void {
    if (much < 100) return
    this.#isBroken = true
    if (much < 150) void end.session.drain()
    else if (much < 180) end.session.destroy('GOING_AWAY', 'told to')
    else if (much < 220) end.link.cut('lost')
    else for (const { link } of this.ends) link.cut('lost')
  }

  #falsify(message: Buffer, command: number): Buffer {
    this.#isBroken = true
    const at = (command >> 20) % Math.max(1, message.length)
    const kind = command & 3
    if (kind === 0) message[at]! ^= 1 << (command & 7)
    else if (kind === 1) return message.subarray(0, at)
    else if (kind === 2) return Buffer.concat([message, message])
    else message.fill(command & 255, at, Math.min(at + 4, message.length))
    return message
  }

  /** All that is under way arrives, all readers read, and every half that is open is ended. */
  #settle(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      let isMoving = this.time.turn()
      for (const { link } of this.ends) {
        isMoving ||= link.hasWork
        link.take()
        while (link.deliver());
      }
      for (const { opener, acceptor } of this.#exchanges) {
        for (const side of [opener, acceptor]) {
          if (side?.stream === undefined || side.stream.isClosed) continue
          if (!side.sent.hasEnded) this.#end(side, false)
          side.thaw()
          isMoving = true
        }
      }
      if (!isMoving) return
      // A link of which one end is lost is noticed by its silence.
      this.time.advance(round < 200 ? 5 : 100)
    }
  }

  #judge(): void {
    for (const { role, session, budget, faults, closed } of this.ends) {
      const wrong = (what: string): void => void this.wrong.push(`${role}: ${what}`)
      if (session.streamCount !== 0) wrong(`${session.streamCount} streams are left`)
      if (session.outstandingBytes !== 0) wrong(`${session.outstandingBytes} bytes are left`)
      if (budget.leftBytes !== budget.totalBytes) wrong(`${budget.totalBytes - budget.leftBytes} bytes of the budget are lent`)
      if (faults.length > 0) wrong(`faults: ${String((faults[0] as Error).stack)}`)
      if (closed.length > 1) wrong(`closed ${closed.length} times`)
      if (!this.#isBroken && closed.length > 0) wrong(`closed: ${closed[0]}`)
      session.destroy('GOING_AWAY', 'the schedule is over')
    }
    this.#exchanges.forEach(({ opener, acceptor }, number) => {
      const pairs = [
        [opener, acceptor, 'opener'],
        [acceptor, opener, 'acceptor'],
      ] as const
      for (const [side, peer, name] of pairs) {
        if (side === undefined) continue
        const wrong = (what: string): void => void this.wrong.push(`exchange ${number}, ${name}: ${what}`)
        if (!this.#isBroken || !side.wrong.some(what => what.startsWith('a wrong byte'))) side.wrong.forEach(wrong)
        if (side.ends > 1 || side.resets.length > 1) wrong(`${side.ends} ends, ${side.resets.length} resets`)
        const isWhole = peer !== undefined && side.receivedBytes === peer.sent.writtenBytes
        if (side.ends === 1 && !isWhole && !this.#isBroken) wrong('ended though bytes are missing')
        if (side.ends === 0 && !side.isOver && side.stream?.isClosed === true) wrong('closed without a word')
        if (!this.#isBroken && !opener.isOver && acceptor?.isOver !== true && side.ends !== 1) wrong('never ended')
      }
    })
    for (let i = 0; i < 5; i++) this.time.turn()
    if (this.time.pending > 0) this.wrong.push(`${this.time.pending} timers are left`)
  }
}
