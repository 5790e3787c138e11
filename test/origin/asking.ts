/** A real inner layer that the test asks stream by stream, and an origin that speaks HTTP/2 with prior knowledge. */
import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { decodeFields } from '../../src/payload/byte-codec.ts'
import { decodeResponseHead, encodeRequestHead } from '../../src/payload/head-codec.ts'
import type { RequestHead, ResponseHead } from '../../src/http/message.ts'
import { encodeNote, type OriginProfile } from '../../src/payload/origin-profile.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { Session } from '../../src/mux/session.ts'
import type { MuxStream, StreamHandler } from '../../src/mux/stream.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { requestHead, startEvilOuter } from '../support/evil.ts'
import { captureLog, privateKeyOf, testKeyPair, type LogRecord } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

/** Everything that came back on one stream, as it comes. */
export class Ask implements StreamHandler {
  readonly heads: ResponseHead[] = []
  readonly interims: ResponseHead[] = []
  #chunks: Buffer[] = []
  trailers: string[] | undefined
  /** `end`, or the code of the reset. */
  outcome = ''
  reason = ''
  readonly stream: MuxStream
  readonly #consumes: boolean

  constructor(session: Session, head: Partial<RequestHead>, options: { readonly end?: boolean; readonly consumes?: boolean } = {}) {
    this.#consumes = options.consumes ?? true
    this.stream = session.open(encodeRequestHead(requestHead(head)), this, { end: options.end ?? true })
  }

  onHead(payload: Buffer, info: boolean): void {
    const head = decodeResponseHead(payload)
    if (info) this.interims.push(head)
    else this.heads.push(head)
  }

  onData(chunk: Buffer): void {
    this.#chunks.push(chunk)
    if (this.#consumes) this.stream.consumed(chunk.length)
  }

  onTrailers(payload: Buffer): void {
    this.trailers = decodeFields(payload)
  }

  onEnd(): void {
    this.outcome ||= 'end'
  }

  onReset(code: string, reason: string): void {
    this.outcome ||= code
    this.reason = reason
  }

  onWritable(): void {
    // tests write less than would have to wait
  }

  /** Bytes so far. */
  get body(): Buffer {
    const whole = Buffer.concat(this.#chunks)
    this.#chunks = [whole]
    return whole
  }

  /** Resolves once the stream has ended in one way or the other. */
  async over(): Promise<this> {
    await until(() => this.outcome !== '', { what: 'the end of a stream' })
    return this
  }

  /** The final head. */
  get head(): ResponseHead {
    return this.heads[0]!
  }
}

/** An inner layer, connected to the test as its outer layer. */
export interface Asking {
  readonly logs: readonly LogRecord[]
  /** Announces a profile and gives its number. */
  announce(profile: OriginProfile): number
  ask(head: Partial<RequestHead>, options?: ConstructorParameters<typeof Ask>[2]): Ask
}

/** Starts one that may reach this machine. */
export const startAsking = async (): Promise<Asking> => {
  const outer = await startEvilOuter()
  const log = captureLog()
  const inner = createInnerLayer(
    {
      privateKey: privateKeyOf(await testKeyPair()),
      outerLayers: [outer.url],
      identifier: 'inner-layer',
      connections: 1,
      allowList: new AllowList(['127.0.0.1:*', 'localhost:*']),
      drainTimeoutMs: 1_000,
    },
    log,
  )
  onCleanUp(() => inner.destroy())
  await inner.start()
  const session = await outer.session
  let profiles = 0
  return {
    logs: log.records,
    announce: profile => {
      session.note(encodeNote({ note: 'profile', number: ++profiles, profile } as { note: string }))
      return profiles
    },
    ask: (head, options) => new Ask(session, head, options),
  }
}

/** How an origin answers. */
export type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]) => void

/** An origin that speaks HTTP/2 with prior knowledge. */
export interface Http2Origin {
  readonly port: number
  readonly sessions: readonly ServerHttp2Session[]
  readonly streams: readonly ServerHttp2Stream[]
  readonly sockets: readonly Socket[]
  answer: Answer
}

/** Starts one on a free port. */
export const startHttp2Origin = async (answer: Answer, settings: object = {}): Promise<Http2Origin> => {
  const server = createServer({ settings })
  const sessions: ServerHttp2Session[] = []
  const streams: ServerHttp2Stream[] = []
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  server.on('session', session => {
    sessions.push(session)
    session.on('error', () => undefined)
    onCleanUp(() => session.destroy())
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    streams.push(stream)
    stream.on('error', () => undefined)
    origin.answer(stream, headers, raw)
  })
  const origin: Http2Origin = { port: await listen(server), sessions, streams, sockets, answer }
  return origin
}

/** 200 with the body `ok`. */
export const answerOk = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 })
  stream.end('ok')
}
