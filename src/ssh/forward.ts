import type { ErrorCode } from '../errors.ts'
import { GatewayError } from '../errors.ts'
import { settleWithin } from '../mux/settle-within.ts'
import type { Forward } from '../service/contract.ts'
import type { ChannelOpener } from './channel-dialer.ts'
import type { Served } from './tunnel-book.ts'
import { TunnelLink, type SharedByLinks } from './tunnel-link.ts'

/** A reply to the client waits this long for visitors to reach it, milliseconds. */
const UP_MS = 5_000
/** Visitors of a tunnel that serves no more have this long to finish, milliseconds. */
const REST_MS = 30_000

/** Options of a forward. */
export interface SshForwardOptions {
  readonly granted: Forward
  /** As the client has asked for it, and as it compares it: the port is the public one where 0 was asked for. */
  readonly boundAddress: string
  readonly boundPort: number
  readonly opener: ChannelOpener
  /** Undefined: the client says when it knows no answer. Else a channel for requests that stays silent so long ends, milliseconds. */
  readonly silentMs: number | undefined
  readonly onUp: () => void
  readonly onResting: () => void
  readonly onEvicted: () => void
  /** The tunnel is no more, for the reason that the outer layer gives. */
  readonly onRemoved: (reason: string) => void
  readonly onLines: (lines: readonly string[]) => void
  readonly onFailure: (code: ErrorCode, reason: string) => void
}

const SILENT =
  'the SSH client has opened the channel and nothing came; is the local service running? (mysocketctl says "Dial INTO local service error")'

/** One forward of an SSH connection: serves a tunnel through channels of that connection while it is its turn. */
export class SshForward implements Served {
  readonly tunnelId: string
  readonly login: number
  #link: TunnelLink | undefined
  #up: Promise<void> | undefined

  constructor(
    private readonly shared: SharedByLinks,
    readonly options: SshForwardOptions,
  ) {
    this.tunnelId = options.granted.tunnel.id
    this.login = options.granted.login
  }

  get isServing(): boolean {
    return this.#link !== undefined
  }

  serve(): Promise<void> {
    this.#up ??= this.#connect()
    return this.#up
  }

  rest(): void {
    const link = this.#leave()
    if (link === undefined) return
    this.options.onResting()
    void settleWithin(link.drain(), REST_MS).then(() => link.destroy())
  }

  evicted(): void {
    this.end()
    this.options.onEvicted()
  }

  /** Serves no more; visitors that are there are cut. */
  end(): void {
    this.#leave()?.destroy()
  }

  /** Serves no more; visitors that are there finish, for a while. Resolves when they have. */
  async drain(timeoutMs: number): Promise<void> {
    const link = this.#leave()
    if (link === undefined) return
    await settleWithin(link.drain(), timeoutMs)
    link.destroy()
  }

  #leave(): TunnelLink | undefined {
    const link = this.#link
    this.#link = undefined
    this.#up = undefined
    return link
  }

  #connect(): Promise<void> {
    const { granted, opener, silentMs, onLines, onFailure, onUp, onRemoved } = this.options
    return new Promise(resolve => {
      let timer: NodeJS.Timeout | undefined = setTimeout(resolve, UP_MS).unref()
      const link = new TunnelLink(this.shared, {
        tunnelId: this.tunnelId,
        socketId: granted.socket.id,
        login: granted.login,
        opener,
        onHttpChannel: channel => {
          if (silentMs !== undefined) channel.expectAnswer(silentMs, () => new GatewayError('ORIGIN_TIMEOUT', SILENT))
        },
        onUp: () => {
          clearTimeout(timer)
          timer = undefined
          resolve()
          if (this.#link === link) onUp()
        },
        onDown: (code, reason) => {
          if (this.#link !== link) return
          // A login that did not come through this door has the tunnel, and dialling again would take it back.
          if (code === 'TAKEN_OVER') {
            this.rest()
            resolve()
          } else if (code === 'KEY_REMOVED') onRemoved(reason)
        },
        onLines,
        onFailure,
      })
      this.#link = link
      link.start()
    })
  }
}
