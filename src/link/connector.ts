import type { ErrorCode } from '../errors.ts'
import type { Link } from '../mux/link.ts'
import { Session, type SessionOptions } from '../mux/session.ts'
import { introduce, type Hello, type Introduction } from '../mux/handshake.ts'
import { BackOff } from './back-off.ts'

/** Dials once; the function returned gives up. */
export type Dial = (events: {
  readonly onLink: (link: Link) => void
  readonly onFailure: (reason: string) => void
  /** The link that was given is closed on both sides. */
  readonly onGone: () => void
}) => () => void

/** Options of a connector. */
export interface ConnectorOptions {
  readonly dial: Dial
  readonly introduction: Pick<Introduction, 'prove' | 'limits' | 'agent' | 'instance' | 'login' | 'features'>
  readonly session: Omit<SessionOptions, 'role' | 'limits' | 'peerLimits' | 'accept' | 'onNote' | 'onClose' | 'onGoAway'>
  /** Makes what is kept for one session: it takes the streams and the notes of that session alone. */
  readonly serve: (note: (payload: Buffer) => void) => Pick<SessionOptions, 'accept' | 'onNote'> & { readonly close: () => void }
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** 0 … 1, for the jitter of the back-off. */
  readonly random: () => number
  readonly onUp: (facts: { readonly identifier: string; readonly agent: string; readonly hello: Hello }) => void
  /** A session ended or an attempt failed; `retryMs` is when the next one starts, undefined when none does. */
  readonly onDown: (facts: {
    readonly code: ErrorCode
    readonly reason: string
    readonly wasUp: boolean
    readonly retryMs: number | undefined
  }) => void
}

/** A session that lasted this long was a good one: the back-off starts anew, milliseconds. */
const GOOD_MS = 1_000

/** The reason that the outer layer logs. */
const REASON = 'the inner layer stops'

/** One dial, and what becomes of it. */
interface Connection {
  giveUp: () => void
  /** Ends the handshake; undefined before there is a link. */
  refuse: ((code: ErrorCode, reason: string) => void) | undefined
  session: Session | undefined
  /** Resolves when the link is closed on both sides: what was said last has arrived. */
  gone: Promise<void>
}

/**
 * Keeps one session with one outer layer: dials, proves itself, and dials again with full jitter when the session is lost, or when the
 * outer layer says that it leaves, while the streams of that session finish.
 */
export class Connector {
  /** The one that is tried, or up. */
  #current: Connection | undefined
  /** The connections whose outer layer is leaving. */
  readonly #leaving = new Set<Connection>()
  readonly #backOff: BackOff
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(private readonly options: ConnectorOptions) {
    this.#backOff = new BackOff(options.random)
  }

  /** True while the session is up. */
  get isUp(): boolean {
    return this.session !== undefined
  }

  /** The session while it is up. */
  get session(): Session | undefined {
    return this.#current?.session
  }

  /** Streams of its sessions that are open. */
  get streamCount(): number {
    return this.#all.reduce((sum, { session }) => sum + (session?.streamCount ?? 0), 0)
  }

  /** Bytes of all its streams that are queued, under way, or received and not consumed. */
  get outstandingBytes(): number {
    return this.#all.reduce((sum, { session }) => sum + (session?.outstandingBytes ?? 0), 0)
  }

  /** Starts to dial. */
  start(): void {
    if (this.#isStopped) return
    this.#timer = undefined
    let isOver = false
    let resolveGone = (): void => undefined
    const connection: Connection = { giveUp: () => undefined, refuse: undefined, session: undefined, gone: Promise.resolve() }
    this.#current = connection
    const over = (code: ErrorCode, reason: string): void => {
      if (isOver) return
      isOver = true
      this.#down(connection, code, reason, false)
    }
    connection.giveUp = this.options.dial({
      onFailure: reason => over('OUTER_LAYER_LOST', reason),
      onGone: () => resolveGone(),
      onLink: link => {
        connection.gone = new Promise(resolve => {
          resolveGone = resolve
        })
        connection.refuse = introduce(link, {
          ...this.options.introduction,
          onRefused: over,
          onReady: ({ ready, hello }) => {
            isOver = true
            this.#up(connection, link, hello)
            connection.refuse = undefined
            this.options.onUp({ identifier: ready.identifier, agent: ready.agent, hello })
          },
        })
      },
    })
  }

  /** Lets open streams finish, then leaves for good. Resolves when the links are closed on both sides. */
  async drain(): Promise<void> {
    this.#stop()
    await Promise.all(this.#all.map(finish))
  }

  /** Leaves for good, now. */
  destroy(): void {
    this.#stop()
    for (const { session, giveUp } of this.#all) {
      session?.destroy('GOING_AWAY', REASON)
      giveUp()
    }
  }

  get #all(): readonly Connection[] {
    return this.#current === undefined ? [...this.#leaving] : [...this.#leaving, this.#current]
  }

  #up(connection: Connection, link: Link, hello: Hello): void {
    const startedMs = this.options.clock()
    const { close, ...service } = this.options.serve(payload => {
      if (session.isOpen) session.note(payload)
    })
    const ended = (code: ErrorCode, reason: string): void => {
      if (this.#current !== connection) return
      if (this.options.clock() - startedMs >= GOOD_MS) this.#backOff.reset()
      this.#down(connection, code, reason, true)
    }
    const session = new Session(link, {
      ...this.options.session,
      ...service,
      role: 'inner',
      limits: this.options.introduction.limits,
      peerLimits: hello.limits,
      onGoAway: (code, reason) => {
        // Its streams may take long to finish, and another outer layer may have the place of this one already.
        if (this.#current === connection) this.#leaving.add(connection)
        ended(code, reason)
      },
      onClose: (code, reason) => {
        close()
        this.#leaving.delete(connection)
        ended(code, reason)
      },
    })
    connection.session = session
  }

  #down(connection: Connection, code: ErrorCode, reason: string, wasUp: boolean): void {
    if (this.#current === connection) this.#current = undefined
    let retryMs: number | undefined
    if (!this.#isStopped) {
      retryMs = this.#backOff.next(code)
      this.#timer = setTimeout(() => this.start(), retryMs)
    }
    this.options.onDown({ code, reason, wasUp, retryMs })
  }

  #stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }
}

/** Says that it leaves, also within the handshake: the outer layer may have opened streams already, and those may go elsewhere then. */
async function finish({ session, refuse, giveUp, gone }: Connection): Promise<void> {
  if (session !== undefined) await session.drain('GOING_AWAY', REASON)
  else if (refuse !== undefined) refuse('GOING_AWAY', REASON)
  else giveUp()
  await gone
}
