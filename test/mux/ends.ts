/** Two sessions over a link, and a handler that keeps what it was told. */
import { performance } from 'node:perf_hooks'
import type { ErrorCode } from '../../src/errors.ts'
import { MemoryLink } from '../../src/link/memory-link.ts'
import { DEFAULT_LIMITS } from '../../src/mux/limits.ts'
import type { Link } from '../../src/mux/link.ts'
import { DEFAULT_TIMING } from '../../src/mux/liveness.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { Session, type SessionOptions } from '../../src/mux/session.ts'
import type { MuxStream, StreamHandler } from '../../src/mux/stream.ts'
import { onCleanUp } from '../support/cleanup.ts'

/** What one end of one stream was told, in order and in words. */
export class Recorder implements StreamHandler {
  stream: MuxStream | undefined
  readonly heads: { readonly payload: string; readonly info: boolean }[] = []
  readonly chunks: Buffer[] = []
  receivedBytes = 0
  readonly trailers: string[] = []
  readonly resets: { readonly code: ErrorCode; readonly reason: string }[] = []
  ends = 0
  writables = 0
  credits = 0
  #unconsumedBytes = 0

  /** @param consumes  a frozen reader does not */
  constructor(public consumes = true) {}

  onHead(payload: Buffer, info: boolean): void {
    this.heads.push({ payload: payload.toString(), info })
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.receivedBytes += chunk.length
    if (this.consumes) this.stream?.consumed(chunk.length)
    else this.#unconsumedBytes += chunk.length
  }

  onTrailers(payload: Buffer): void {
    this.trailers.push(payload.toString())
  }

  onEnd(): void {
    this.ends++
  }

  onReset(code: ErrorCode, reason: string): void {
    this.resets.push({ code, reason })
  }

  onWritable(): void {
    this.writables++
  }

  onCredit(): void {
    this.credits++
  }

  /** Bytes that came and were not consumed. */
  get heldBytes(): number {
    return this.#unconsumedBytes
  }

  /** Consumes up to `bytes` of what is held. */
  consume(bytes = Infinity): void {
    const taken = Math.min(bytes, this.#unconsumedBytes)
    this.#unconsumedBytes -= taken
    this.stream?.consumed(taken)
  }

  /** From now on everything is consumed as it comes. */
  thaw(): void {
    this.consumes = true
    this.consume()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

/** One session and what became of it. */
export interface End {
  readonly session: Session
  readonly budget: GrowthBudget
  /** Streams that the peer opened, in order, with the payload of their OPEN. */
  readonly accepted: Recorder[]
  readonly opens: string[]
  readonly closed: { readonly code: ErrorCode; readonly reason: string }[]
  readonly goAways: { readonly code: ErrorCode; readonly reason: string }[]
  readonly faults: unknown[]
}

export type EndOptions = Partial<Omit<SessionOptions, 'role' | 'onClose' | 'onGoAway' | 'onFault'>> & {
  /** Do accepted streams consume what comes? Default true. */
  readonly consumes?: boolean
}

/** A session on `link`; it is destroyed after the test file. */
export const startEnd = (link: Link, role: 'outer' | 'inner', options: EndOptions = {}): End => {
  const budget = options.budget ?? new GrowthBudget(32 * 1_048_576)
  const accepted: Recorder[] = []
  const opens: string[] = []
  const closed: End['closed'] = []
  const goAways: End['goAways'] = []
  const faults: unknown[] = []
  const session = new Session(link, {
    limits: DEFAULT_LIMITS,
    peerLimits: DEFAULT_LIMITS,
    clock: () => performance.now(),
    timing: DEFAULT_TIMING,
    // A link in memory is fast from the start, and tests of what waits want much of it at once.
    firstFlightBytes: 524_288,
    accept: (open, stream) => {
      const recorder = new Recorder(options.consumes)
      recorder.stream = stream
      opens.push(open.toString())
      accepted.push(recorder)
      return recorder
    },
    ...options,
    budget,
    role,
    onClose: (code, reason) => closed.push({ code, reason }),
    onGoAway: (code, reason) => goAways.push({ code, reason }),
    onFault: thrown => faults.push(thrown),
  })
  onCleanUp(() => session.destroy('GOING_AWAY', 'the test is over'))
  return { session, budget, accepted, opens, closed, goAways, faults }
}

export interface Pair {
  readonly outer: End
  readonly inner: End
  readonly outerLink: MemoryLink
  readonly innerLink: MemoryLink
}

/** An outer and an inner session, each the other's peer, over a link in memory. */
export const startPair = (options: { readonly outer?: EndOptions; readonly inner?: EndOptions } = {}): Pair => {
  const [outerLink, innerLink] = MemoryLink.pair()
  return {
    outer: startEnd(outerLink, 'outer', options.outer),
    inner: startEnd(innerLink, 'inner', options.inner),
    outerLink,
    innerLink,
  }
}

/** Opens a stream whose handler is a Recorder. */
export const openStream = (
  end: End,
  { payload = 'open', end: hasEnded = false, consumes = true }: { payload?: string; end?: boolean; consumes?: boolean } = {},
): { readonly stream: MuxStream; readonly recorder: Recorder } => {
  const recorder = new Recorder(consumes)
  const stream = end.session.open(Buffer.from(payload), recorder, { end: hasEnded })
  recorder.stream = stream
  return { stream, recorder }
}

/** Writes `bytes` as a producer that obeys `write` and goes on at `onWritable`; ends the half afterwards. */
export const pump = (recorder: Recorder, bytes: Buffer, { chunkBytes = 65_536, ends = true } = {}): { readonly sent: () => number } => {
  const stream = recorder.stream!
  let at = 0
  const go = (): void => {
    while (at < bytes.length) {
      const chunk = bytes.subarray(at, at + chunkBytes)
      at += chunk.length
      if (!stream.write(chunk) && at < bytes.length) return
    }
    if (ends) stream.end()
  }
  recorder.onWritable = () => {
    recorder.writables++
    go()
  }
  go()
  return { sent: () => at }
}

/** Lets `count` turns of the event loop pass: a message over a link in memory takes one or two. */
export const turns = async (count = 4): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}
