import { randomUUID } from 'node:crypto'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { createProof } from '../identity/proof.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { Connector } from '../link/connector.ts'
import { dialStream } from '../link/stream-dialer.ts'
import { DEFAULT_LIMITS } from '../mux/limits.ts'
import { DEFAULT_TIMING } from '../mux/liveness.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import type { GrowthBudget } from '../mux/receive-window.ts'
import { AllowList } from '../origin/allow-list.ts'
import { Origins } from '../origin/origin-drivers.ts'
import { OriginPolicy } from '../origin/origin-policy.ts'
import type { NameLookup } from '../origin/name-lookup.ts'
import { formatLogLine } from '../payload/log-line.ts'
import { encodeWatchLog, parseLogNote } from '../payload/log-note.ts'
import type { Log } from '../telemetry/log.ts'
import { AGENT } from '../version.ts'
import { ChannelDialer, type ChannelOpener } from './channel-dialer.ts'
import type { TunnelChannel } from './tunnel-channel.ts'
import { createTunnelStreams, type TunnelStreamsContext } from './tunnel-streams.ts'

/** The outer layer, and by what the service process proves itself there. */
export interface LinkTo {
  /** ws: URL of the private link port. */
  readonly url: string
  readonly privateKey: PrivateKey
}

/** The context that all links of one door share. */
export interface SharedByLinks {
  readonly linkTo: LinkTo
  readonly budget: GrowthBudget
  readonly counters: LinkCounters
  readonly names: NameLookup
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
}

/** Options of the link of one tunnel. */
export interface TunnelLinkOptions {
  readonly tunnelId: string
  readonly socketId: string
  /** Its login among those of the tunnel. */
  readonly login: number
  readonly opener: ChannelOpener
  /** Each channel for requests, before its first one. */
  readonly onHttpChannel: (channel: TunnelChannel) => void
  readonly onUp: () => void
  /** Serves no more; tried again where `isFinal` is false. */
  readonly onDown: (code: ErrorCode, reason: string) => void
  /** Lines of the live log, as people read them. */
  readonly onLines: (lines: readonly string[]) => void
  /** A visitor's request or connection has failed at the origin. */
  readonly onFailure: (code: ErrorCode, reason: string) => void
}

/** The host name under which targets of a socket name its origin: no resolver has it, and here it means the other end of the tunnel. */
export const originHostOf = (socketId: string): string => `${socketId}.socket.invalid`

/** An inner layer for one tunnel: one link to the outer layer, and an origin that is reached through channels of an SSH client. */
export class TunnelLink {
  readonly #connector: Connector
  /** From the first visitor on. */
  #streams: (TunnelStreamsContext & { readonly drivers: Origins }) | undefined

  constructor(
    private readonly shared: SharedByLinks,
    private readonly options: TunnelLinkOptions,
  ) {
    const { linkTo, log, clock } = shared
    const { tunnelId, login } = options
    const onNote = (note: Readonly<Record<string, unknown>> & { readonly note: string }): void => {
      if (note.note === 'log') options.onLines(parseLogNote(note).map(formatLogLine))
    }
    const { protocol, host } = new URL(linkTo.url)
    this.#connector = new Connector({
      dial: events => dialStream({ url: linkTo.url }, events),
      introduction: {
        agent: AGENT,
        // Each tunnel is a process of its own to the outer layer: none stands for another.
        instance: randomUUID(),
        login,
        limits: DEFAULT_LIMITS,
        prove: hello =>
          createProof(linkTo.privateKey, {
            identifier: tunnelId,
            url: `${protocol}//${host}`,
            audience: hello.audience,
            nonce: hello.nonce,
            nowSeconds: hello.time,
            validityMs: hello.validityMs,
          }),
      },
      session: {
        budget: shared.budget,
        counters: shared.counters,
        clock,
        timing: DEFAULT_TIMING,
        onFault: thrown => log.error({ err: thrown, tunnel: tunnelId }, 'internal fault while handling a stream of an SSH tunnel'),
      },
      serve: note => {
        // The session exists once this has returned.
        queueMicrotask(() => note(encodeWatchLog()))
        return createTunnelStreams(() => (this.#streams ??= this.#createStreams()), onNote)
      },
      clock,
      random: Math.random,
      onUp: () => options.onUp(),
      onDown: ({ code, reason }) => {
        const why = reason || ERRORS[code].text
        log.debug({ tunnel: tunnelId, code, reason: why }, `the link of tunnel ${tunnelId} is down: ${why}`)
        options.onDown(code, why)
      },
    })
  }

  get isUp(): boolean {
    return this.#connector.isUp
  }

  start(): void {
    this.#connector.start()
  }

  /** Lets streams finish, then ends. Resolves when nothing is left. */
  async drain(): Promise<void> {
    await this.#connector.drain()
    this.#streams?.drivers.close()
  }

  /** Ends now. */
  destroy(): void {
    this.#connector.destroy()
    this.#streams?.drivers.close()
  }

  #createStreams(): TunnelStreamsContext & { readonly drivers: Origins } {
    const { clock, names } = this.shared
    const { socketId, opener, onHttpChannel, onFailure } = this.options
    // The second key: whatever the outer layer asks for, this end goes nowhere but to its own origin.
    const policy = new OriginPolicy(new AllowList([`${originHostOf(socketId)}:*`]), names)
    const http = new ChannelDialer(opener, onHttpChannel)
    return {
      policy,
      http,
      tcp: new ChannelDialer(opener),
      drivers: new Origins({ policy, clock, dialer: http }),
      clock,
      onFailure: (_origin, code, reason) => onFailure(code, reason),
    }
  }
}
