import type { ErrorCode } from '../errors.ts'
import type { Link } from '../mux/link.ts'
import { Session, type SessionOptions } from '../mux/session.ts'
import { introduce, type Hello, type Introduction } from '../mux/handshake.ts'

/** Dials once; the function returned gives up. */
export type Dial = (events: { readonly onLink: (link: Link) => void; readonly onFailure: (reason: string) => void }) => () => void

/** What a connector is made from. */
export interface ConnectorOptions {
  readonly dial: Dial
  readonly introduction: Pick<Introduction, 'prove' | 'limits' | 'agent' | 'instance'>
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

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000
/** A session that lasted this long starts the back-off anew, milliseconds. */
const STABLE_MS = 30_000

/** What the outer layer reads in its log. */
const REASON = 'the inner layer stops'

/** Keeps one session with one outer layer: dials, proves itself, and dials again with full jitter when the session is lost. */
export class Connector {
  #session: Session | undefined
  #giveUp: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #attempt = 0
  #isStopped = false

  constructor(private readonly options: ConnectorOptions) {}

  /** True while the session is up. */
  get isUp(): boolean {
    return this.#session !== undefined
  }

  /** The session while it is up. */
  get session(): Session | undefined {
    return this.#session
  }

  /** Streams of the session that are open. */
  get streamCount(): number {
    return this.#session?.streamCount ?? 0
  }

  /** Bytes of all its streams that are queued, under way, or received and not consumed. */
  get outstandingBytes(): number {
    return this.#session?.outstandingBytes ?? 0
  }

  /** Starts to dial. */
  start(): void {
    if (this.#isStopped) return
    this.#timer = undefined
    let isOver = false
    const over = (code: ErrorCode, reason: string): void => {
      if (isOver) return
      isOver = true
      this.#down(code, reason, false)
    }
    this.#giveUp = this.options.dial({
      onFailure: reason => over('INNER_LAYER_LOST', reason),
      onLink: link =>
        introduce(link, {
          ...this.options.introduction,
          onRefused: over,
          onReady: ({ ready, hello }) => {
            isOver = true
            this.#up(link, hello)
            this.options.onUp({ identifier: ready.identifier, agent: ready.agent, hello })
          },
        }),
    })
  }

  /** Lets open streams finish, then leaves for good. Resolves when the session is over. */
  async drain(): Promise<void> {
    this.#stop()
    await this.#session?.drain('GOING_AWAY', REASON)
    this.#giveUp?.()
  }

  /** Leaves for good, now. */
  destroy(): void {
    this.#stop()
    this.#session?.destroy('GOING_AWAY', REASON)
    this.#giveUp?.()
  }

  #up(link: Link, hello: Hello): void {
    const startedMs = this.options.clock()
    const { close, ...service } = this.options.serve(payload => {
      if (session.isOpen) session.note(payload)
    })
    const session = new Session(link, {
      ...this.options.session,
      ...service,
      role: 'inner',
      limits: this.options.introduction.limits,
      peerLimits: hello.limits,
      onClose: (code, reason) => {
        this.#session = undefined
        close()
        if (this.options.clock() - startedMs >= STABLE_MS) this.#attempt = 0
        this.#down(code, reason, true)
      },
    })
    this.#session = session
  }

  #down(code: ErrorCode, reason: string, wasUp: boolean): void {
    this.#giveUp = undefined
    let retryMs: number | undefined
    if (!this.#isStopped) {
      // Full jitter: many inner layers that lost one outer layer come back spread out, not in step.
      const ceiling = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempt++)
      retryMs = Math.round(ceiling * this.options.random())
      this.#timer = setTimeout(() => this.start(), retryMs)
    }
    this.options.onDown({ code, reason, wasUp, retryMs })
  }

  #stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }
}
