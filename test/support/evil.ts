/** Layers that prove themselves like any other and then say whatever the test wants. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { RequestHead } from '../../src/http/message.ts'
import { decodeRequestHead, encodeRequestHead } from '../../src/payload/head-codec.ts'
import { createProof } from '../../src/identity/proof.ts'
import { dial } from '../../src/link/dialer.ts'
import { createListener } from '../../src/link/listener.ts'
import { greet, introduce } from '../../src/mux/handshake.ts'
import { DEFAULT_LIMITS, GROWTH_BUDGET_BYTES } from '../../src/mux/limits.ts'
import { DEFAULT_TIMING } from '../../src/mux/liveness.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { Session, type SessionOptions } from '../../src/mux/session.ts'
import type { MuxStream, StreamHandler } from '../../src/mux/stream.ts'
import { onCleanUp } from './cleanup.ts'
import type { Layers } from './layers.ts'
import { listen } from './ports.ts'

const nothing = (): void => undefined
/** A handler that takes everything and does nothing. */
export const deaf: StreamHandler = {
  onHead: nothing,
  onData: nothing,
  onTrailers: nothing,
  onEnd: nothing,
  onReset: nothing,
  onWritable: nothing,
}

const common = (): Pick<SessionOptions, 'limits' | 'peerLimits' | 'budget' | 'clock' | 'timing' | 'onClose'> => ({
  limits: DEFAULT_LIMITS,
  peerLimits: DEFAULT_LIMITS,
  budget: new GrowthBudget(GROWTH_BUDGET_BYTES),
  clock: () => performance.now(),
  timing: DEFAULT_TIMING,
  onClose: nothing,
})

/** What an evil inner layer does with a stream that the outer layer has opened. */
export type Script = (stream: MuxStream, head: RequestHead) => void

/** Connects an inner layer to `layers` that answers by `script`; resolves when it is connected. */
export const connectEvilInner = async (layers: Layers, script: Script, identifier = 'evil'): Promise<Session> => {
  const before = layers.outer.registry.connections.length
  const session = await new Promise<Session>((resolve, reject) => {
    const giveUp = dial(
      { url: `ws://127.0.0.1:${layers.socketPort}` },
      {
        onFailure: reason => reject(new Error(reason)),
        onLink: link =>
          introduce(link, {
            agent: 'evil/1',
            limits: DEFAULT_LIMITS,
            prove: ({ audience, nonce, time, validityMs }) =>
              createProof(layers.privateKey, {
                identifier,
                url: `ws://127.0.0.1:${layers.socketPort}`,
                audience,
                nonce,
                nowSeconds: time,
                validityMs,
              }),
            onRefused: (code, reason) => reject(new Error(`${code}: ${reason}`)),
            onReady: () =>
              resolve(
                new Session(link, {
                  ...common(),
                  role: 'inner',
                  accept: (payload, stream) => {
                    // Later, as a peer would: the stream has its handler by then.
                    queueMicrotask(() => script(stream, decodeRequestHead(payload)))
                    return deaf
                  },
                }),
              ),
          }),
      },
    )
    onCleanUp(giveUp)
  })
  await layers.connected(before + 1)
  return session
}

/** An outer layer that accepts every inner layer and opens what the test asks for. */
export interface EvilOuter {
  readonly url: string
  /** Resolves with the session of the next inner layer. */
  readonly session: Promise<Session>
}

/** Starts one on a free port. @param onNote  gets what the inner layer says about the session */
export const startEvilOuter = async (identifier = 'inner-layer', onNote: (payload: Buffer) => void = nothing): Promise<EvilOuter> => {
  const server = createServer()
  let connected: (session: Session) => void = nothing
  const session = new Promise<Session>(resolve => (connected = resolve))
  const listener = createListener(server, {
    admit: () => undefined,
    onFault: thrown => {
      throw thrown
    },
    onLink: link =>
      greet(link, {
        agent: 'evil/1',
        hello: {
          features: [],
          nonce: randomBytes(32).toString('base64url'),
          audience: 'evil',
          time: Date.now() / 1000,
          validityMs: 30_000,
          limits: DEFAULT_LIMITS,
        },
        verify: () => ({ session: 'evil', identifier }),
        onRefused: nothing,
        onReady: () =>
          connected(
            new Session(link, {
              ...common(),
              role: 'outer',
              onNote,
              accept: () => {
                throw new Error('an inner layer opens no streams')
              },
            }),
          ),
      }),
  })
  onCleanUp(async () => {
    server.closeAllConnections()
    await listener.close()
  })
  return { url: `ws://127.0.0.1:${await listen(server)}`, session }
}

/** A GET of / at `hostname`:`port`; what is given replaces its parts. */
export const requestHead = (parts: Partial<RequestHead> = {}): RequestHead => ({
  protocol: 'http',
  hostname: '127.0.0.1',
  port: 80,
  method: 'GET',
  path: '/',
  host: 'origin.test',
  profile: 0,
  body: { kind: 'none' },
  expectsContinue: false,
  upgrade: '',
  fields: [],
  ...parts,
})

/** What came back on a stream. */
export interface Outcome {
  readonly heads: Buffer[]
  readonly data: Buffer[]
  /** `end`, or the code of the reset. */
  readonly end: string
}

/** Opens a stream for `head` with `body`, and resolves when it is over: `end`, or the code of its reset. */
export const exchange = (session: Session, head: RequestHead | Buffer, body?: string): Promise<Outcome> =>
  new Promise(resolve => {
    const heads: Buffer[] = []
    const data: Buffer[] = []
    const payload = Buffer.isBuffer(head) ? head : encodeRequestHead(head)
    const stream = session.open(
      payload,
      {
        ...deaf,
        onHead: bytes => heads.push(Buffer.from(bytes)),
        onData: bytes => data.push(Buffer.from(bytes)),
        onEnd: () => resolve({ heads, data, end: 'end' }),
        onReset: code => resolve({ heads, data, end: code }),
      },
      { end: body === undefined },
    )
    if (body !== undefined) {
      stream.write(Buffer.from(body, 'latin1'))
      stream.end()
    }
  })
