/** A client's socket and an origin's, joined by two splices over a link in memory. */
import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../../src/errors.ts'
import { Splice, splice, type SpliceEnd, type SpliceOptions } from '../../src/splice/splice.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import type { MuxStream } from '../../src/mux/stream.ts'
import { startPair, type Pair } from '../mux/ends.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { once, until } from '../support/wait.ts'

/** One side of what `startSpliced` makes. */
export interface Side {
  /** Where the test reads and writes. */
  readonly far: Socket
  /** What the splice holds. */
  readonly near: Socket
  readonly splice: Splice
  readonly stream: MuxStream
  readonly ends: SpliceEnd[]
}

/** The two ends of one TCP connection; half-open, so that nothing ends by itself. */
export const socketPair = async (): Promise<[far: Socket, near: Socket]> => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  const accepted = once(server, 'connection')
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const far = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true })
  const [near] = (await accepted) as [Socket]
  server.close()
  onCleanUp(() => {
    far.destroy()
    near.destroy()
  })
  return [far, near]
}

type Options = Partial<SpliceOptions>

const failing = (code: 'CANCELLED' | 'ORIGIN_CLOSED') => (error: Error | undefined) =>
  new GatewayError(code, error?.message ?? 'closed without an end')

/** What `startSpliced` makes; `budget` is what the windows of both sides may grow by. */
export interface SplicedOptions {
  readonly client?: Options
  readonly origin?: Options
  readonly budget?: GrowthBudget
}

/** Client ⇄ outer splice ⇄ link ⇄ inner splice ⇄ origin. */
export const startSpliced = async ({
  client: clientOptions = {},
  origin: originOptions = {},
  budget = new GrowthBudget(16 * 1_048_576),
}: SplicedOptions = {}): Promise<{ readonly pair: Pair; readonly client: Side; readonly origin: Side }> => {
  const pair = startPair({
    outer: { budget },
    inner: {
      budget,
      accept: (_payload, stream) => {
        ;(origin as { stream: MuxStream }).stream = stream
        ;(origin as { splice: Splice }).splice = splice(stream, originNear, {
          failure: failing('ORIGIN_CLOSED'),
          ...originOptions,
          onEnd: end => originEnds.push(end),
        })
        return origin.splice
      },
    },
  })
  const [[clientFar, clientNear], [originFar, originNear]] = [await socketPair(), await socketPair()]
  const clientEnds: SpliceEnd[] = []
  const originEnds: SpliceEnd[] = []
  const origin = { far: originFar, near: originNear, ends: originEnds } as unknown as Side
  const outer = new Splice(clientNear, { failure: failing('CANCELLED'), ...clientOptions, onEnd: end => clientEnds.push(end) })
  const stream = pair.outer.session.open(Buffer.from('open'), outer)
  outer.attach(stream)
  await until(() => origin.stream as MuxStream | undefined)
  return { pair, client: { far: clientFar, near: clientNear, splice: outer, stream, ends: clientEnds }, origin }
}

/** Everything that comes from `socket` up to its end; `failed` when the end was no orderly one. */
export const readAll = (
  socket: Duplex,
): { readonly bytes: () => Buffer; readonly length: () => number; readonly done: Promise<'end' | 'failed'> } => {
  const chunks: Buffer[] = []
  let length = 0
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
  })
  const done = new Promise<'end' | 'failed'>(resolve => {
    socket.on('end', () => resolve('end'))
    socket.on('error', () => resolve('failed'))
    socket.on('close', () => resolve('failed'))
  })
  return { bytes: () => Buffer.concat(chunks), length: () => length, done }
}
