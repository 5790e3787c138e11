/**
 * Two ends over a link in memory, driven at random: opens, writes, half-closes, resets, slow readers and links that hold everything
 * back for a while. The model knows what each half was given; the claim is what must be true once all is quiet.
 */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { openStream, startPair, turns, type End, type Pair, type Recorder } from './ends.ts'

/** One direction of one stream. */
interface Half {
  /** Who writes into it, and who reads from it; the reader exists once the OPEN has arrived. */
  readonly writer: () => Recorder | undefined
  readonly reader: () => Recorder | undefined
  written: Buffer[]
  hasEnded: boolean
  trailers: string[]
}

interface Exchange {
  /** From the opener to the acceptor, and back. */
  readonly halves: readonly [Half, Half]
  /** One of the two ends has reset it, at any time. */
  wasReset: boolean
}

interface Model {
  exchanges: Exchange[]
  writtenBytes: number
}

/** What a GOAWAY or a reset must never do is tested elsewhere; here both ends are of good faith. */
interface Real extends Pair {
  /** OPEN payload → the end that accepted it. */
  readonly acceptedBy: (payload: string) => Recorder | undefined
}

const startReal = (windowBytes: number, budgetBytes: number): Real => {
  const limits = { streams: 1_024, windowBytes }
  const options = (): object => ({ consumes: false, limits, peerLimits: limits, budget: new GrowthBudget(budgetBytes) })
  const pair = startPair({ outer: options(), inner: options() })
  const find = ({ opens, accepted }: End, payload: string): Recorder | undefined => accepted[opens.indexOf(payload)]
  return { ...pair, acceptedBy: payload => find(pair.outer, payload) ?? find(pair.inner, payload) }
}

type Command = fc.AsyncCommand<Model, Real>

const MAX_BYTES = 4_000_000

class OpenCommand implements Command {
  constructor(
    private readonly byOuter: boolean,
    private readonly ends: boolean,
  ) {}
  check = (model: Readonly<Model>): boolean => model.exchanges.length < 40
  async run(model: Model, real: Real): Promise<void> {
    const payload = `open ${model.exchanges.length}`
    const { recorder } = openStream(this.byOuter ? real.outer : real.inner, { payload, end: this.ends, consumes: false })
    const acceptor = (): Recorder | undefined => real.acceptedBy(payload)
    const half = (writer: Half['writer'], reader: Half['reader'], hasEnded: boolean): Half => ({
      writer,
      reader,
      written: [],
      hasEnded,
      trailers: [],
    })
    model.exchanges.push({ halves: [half(() => recorder, acceptor, this.ends), half(acceptor, () => recorder, false)], wasReset: false })
  }
  toString = (): string => `open(${this.byOuter ? 'outer' : 'inner'}${this.ends ? ', END' : ''})`
}

/** Commands on one half of one exchange, picked by number. */
abstract class HalfCommand implements Command {
  constructor(
    protected readonly exchange: number,
    protected readonly half: 0 | 1,
  ) {}
  protected pick(model: Readonly<Model>): { readonly exchange: Exchange; readonly half: Half } {
    const exchange = model.exchanges[this.exchange % model.exchanges.length]!
    return { exchange, half: exchange.halves[this.half] }
  }
  check = (model: Readonly<Model>): boolean => model.exchanges.length > 0 && this.isAllowed(model)
  protected isAllowed(_model: Readonly<Model>): boolean {
    return true
  }
  abstract run(model: Model, real: Real): Promise<void>
}

class WriteCommand extends HalfCommand {
  constructor(
    exchange: number,
    half: 0 | 1,
    private readonly bytes: number,
  ) {
    super(exchange, half)
  }
  protected override isAllowed(model: Readonly<Model>): boolean {
    return !this.pick(model).half.hasEnded && model.writtenBytes < MAX_BYTES
  }
  async run(model: Model): Promise<void> {
    const { half } = this.pick(model)
    const stream = half.writer()?.stream
    if (stream === undefined) return
    const chunk = pattern(this.bytes, half.written.length)
    stream.write(chunk)
    half.written.push(chunk)
    model.writtenBytes += this.bytes
  }
  override toString(): string {
    return `write(${this.exchange}/${this.half}, ${this.bytes})`
  }
}

class EndCommand extends HalfCommand {
  constructor(
    exchange: number,
    half: 0 | 1,
    private readonly trailers: boolean,
  ) {
    super(exchange, half)
  }
  protected override isAllowed(model: Readonly<Model>): boolean {
    return !this.pick(model).half.hasEnded
  }
  async run(model: Model): Promise<void> {
    const { half } = this.pick(model)
    const stream = half.writer()?.stream
    if (stream === undefined) return
    stream.end(this.trailers ? Buffer.from('trailers') : undefined)
    half.hasEnded = true
    if (this.trailers) half.trailers.push('trailers')
  }
  override toString(): string {
    return `end(${this.exchange}/${this.half}${this.trailers ? ', trailers' : ''})`
  }
}

class ConsumeCommand extends HalfCommand {
  constructor(
    exchange: number,
    half: 0 | 1,
    private readonly bytes: number,
  ) {
    super(exchange, half)
  }
  async run(model: Model): Promise<void> {
    this.pick(model).half.reader()?.consume(this.bytes)
  }
  override toString(): string {
    return `consume(${this.exchange}/${this.half}, ${this.bytes})`
  }
}

class ResetCommand extends HalfCommand {
  async run(model: Model): Promise<void> {
    const { exchange, half } = this.pick(model)
    const stream = half.writer()?.stream
    if (stream === undefined || stream.isClosed) return
    stream.reset('CANCELLED')
    exchange.wasReset = true
  }
  override toString(): string {
    return `reset(${this.exchange}/${this.half})`
  }
}

class LinkCommand implements Command {
  constructor(
    private readonly ofOuter: boolean,
    private readonly isHeld: boolean,
  ) {}
  check = (): boolean => true
  async run(_model: Model, real: Real): Promise<void> {
    const link = this.ofOuter ? real.outerLink : real.innerLink
    if (this.isHeld) link.isHeld = true
    else link.release()
  }
  toString = (): string => `${this.isHeld ? 'hold' : 'release'}(${this.ofOuter ? 'outer' : 'inner'})`
}

class WaitCommand implements Command {
  constructor(private readonly turns: number) {}
  check = (): boolean => true
  async run(): Promise<void> {
    await turns(this.turns)
  }
  toString = (): string => `wait(${this.turns})`
}

const exchange = fc.nat(39)
const half = fc.constantFrom<0 | 1>(0, 1)
const bytes = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 }))
const commands = fc.commands<Model, Real, false>(
  [
    fc.tuple(fc.boolean(), fc.boolean()).map(([byOuter, ends]) => new OpenCommand(byOuter, ends)),
    fc.tuple(exchange, half, bytes).map(args => new WriteCommand(...args)),
    fc.tuple(exchange, half, bytes).map(args => new WriteCommand(...args)),
    fc.tuple(exchange, half, bytes).map(args => new ConsumeCommand(...args)),
    fc.tuple(exchange, half, fc.boolean()).map(args => new EndCommand(...args)),
    fc.tuple(exchange, half).map(args => new ResetCommand(...args)),
    fc.tuple(fc.boolean(), fc.boolean()).map(args => new LinkCommand(...args)),
    fc.nat(6).map(count => new WaitCommand(count)),
    fc.nat(6).map(count => new WaitCommand(count)),
  ],
  { maxCommands: 120, size: 'max' },
)

/** Lets everything that is under way arrive: links flow, readers read, and each half that is still open is ended. */
const settle = async (model: Model, { outer, inner, outerLink, innerLink }: Real): Promise<void> => {
  outerLink.release()
  innerLink.release()
  await turns()
  for (const { halves } of model.exchanges) {
    for (const half of halves) {
      half.reader()?.thaw()
      half.writer()?.stream?.end()
      half.hasEnded = true
    }
  }
  await until(() => outer.session.streamCount === 0 && inner.session.streamCount === 0, { what: 'all streams to end' })
}

const assertQuiet = ({ outer, inner }: Real): void => {
  for (const { session, budget, faults, closed } of [outer, inner]) {
    expect(session.outstandingBytes).toBe(0)
    expect(budget.leftBytes).toBe(budget.totalBytes)
    expect([faults, closed]).toEqual([[], []])
    expect(session.isOpen).toBe(true)
  }
}

const assertHalf = (exchange: Exchange, { writer, reader, written, trailers }: Half): void => {
  const sent = Buffer.concat(written)
  const got = reader()
  if (got === undefined) {
    // Its OPEN was overtaken by nothing: an acceptor is missing only for a stream that was reset before it left.
    expect(exchange.wasReset).toBe(true)
    return
  }
  // Never a byte that was not sent, never out of order.
  expect(sent.subarray(0, got.receivedBytes).equals(got.bytes)).toBe(true)
  if (got.ends > 0) {
    expect([got.ends, got.receivedBytes, got.trailers]).toEqual([1, sent.length, trailers])
  } else {
    // Cut short, and visible as such on one of the two ends at least: on the other than the one that asked for it.
    expect(exchange.wasReset).toBe(true)
    expect(got.resets.length + (writer()?.resets.length ?? 0)).toBeLessThanOrEqual(1)
  }
}

describe('two sessions of good faith', () => {
  test.each([
    ['with windows that grow', 16_384, 8 * 1_048_576],
    ['with windows that cannot grow', 1_000, 0],
  ])('%s lose, repeat, reorder and keep nothing, whatever is done in whatever order', async (_name, windowBytes, budgetBytes) => {
    const run = async (sequence: Iterable<Command>): Promise<void> => {
      const model: Model = { exchanges: [], writtenBytes: 0 }
      const real = startReal(windowBytes, budgetBytes)
      await fc.asyncModelRun(() => ({ model, real }), sequence)
      await settle(model, real)
      assertQuiet(real)
      for (const exchange of model.exchanges) for (const half of exchange.halves) assertHalf(exchange, half)
      // Whoever did not ask for a reset, and has not seen both ends, has been told.
      for (const { halves, wasReset } of model.exchanges) {
        const [opener, acceptor] = [halves[0].writer(), halves[0].reader()]
        if (!wasReset) expect([opener!.ends, acceptor!.ends, opener!.resets, acceptor!.resets]).toEqual([1, 1, [], []])
      }
      real.outer.session.destroy('GOING_AWAY', 'done')
    }
    await fc.assert(fc.asyncProperty(commands, run), { numRuns: 150 })
  })
})
