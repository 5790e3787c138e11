import type { ErrorCode } from '../errors.ts'
import type { RequestHead } from '../http/message.ts'
import type { SessionOptions } from '../mux/session.ts'
import { OriginExchange, type OriginContext } from '../origin/origin-exchange.ts'
import type { OriginPolicy } from '../origin/origin-policy.ts'
import { acceptTcp } from '../origin/tcp-origin.ts'
import { decodeRequestHead } from '../payload/head-codec.ts'
import { AnnouncedProfiles, decodeNote } from '../payload/origin-profile.ts'
import { decodeTcpHead, KIND_TCP } from '../payload/tcp-head.ts'
import type { ChannelDialer } from './channel-dialer.ts'

/** Sockets share a few profiles. */
const MAX_PROFILES = 64
const REAL_IP = 'x-real-ip'

/** The part of a tunnel that its streams use. */
export interface TunnelStreamsContext extends OriginContext {
  readonly policy: OriginPolicy
  /** Of requests, whose channels are kept for others. */
  readonly http: ChannelDialer
  /** Of connections, each with a channel of its own. */
  readonly tcp: ChannelDialer
  readonly onFailure: (origin: { readonly hostname: string; readonly port: number }, code: ErrorCode, reason: string) => void
}

/**
 * Creates the handler of one session: streams of visitors, each joined to the origin behind the SSH client.
 * @param contextOf  asked for each stream, so that a tunnel to which nobody comes costs little
 * @param onOther    told of notes that are not about streams
 */
export function createTunnelStreams(
  contextOf: () => TunnelStreamsContext,
  onOther: (note: Readonly<Record<string, unknown>> & { readonly note: string }) => void,
): Required<Pick<SessionOptions, 'accept' | 'onNote'>> & { readonly close: () => void } {
  const profiles = new AnnouncedProfiles(MAX_PROFILES)
  return {
    accept: (payload, stream) => {
      const context = contextOf()
      if (payload[0] === KIND_TCP) {
        const { visitor } = decodeTcpHead(payload)
        if (visitor !== undefined) context.tcp.visitor = visitor
        return acceptTcp(payload, stream, { policy: context.policy, dialer: context.tcp, onFailure: context.onFailure })
      }
      const head = decodeRequestHead(payload)
      context.http.visitor = { address: addressOf(head), port: 0 }
      const exchange = new OriginExchange(stream, { head, profile: profiles.of(head.profile) }, context)
      exchange.start()
      return exchange
    },
    onNote: payload => {
      const note = decodeNote(payload)
      if (note.note !== 'profile') return onOther(note)
      profiles.take(note)
    },
    close: () => undefined,
  }
}

/** The address of the visitor, as the outer layer says it to origins. */
function addressOf({ fields }: RequestHead): string {
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.length === 9 && fields[i]!.toLowerCase() === REAL_IP) return fields[i + 1]!
  return ''
}
