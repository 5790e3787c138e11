import { decodeRequestHead } from '../payload/head-codec.ts'
import { KnownLists } from '../payload/field-lists.ts'
import { encodeHealthReport, parseHealthNote } from '../payload/health-note.ts'
import { AnnouncedProfiles, type decodeNote } from '../payload/origin-profile.ts'
import { KIND_TCP } from '../payload/tcp-head.ts'
import { KIND_TLS } from '../payload/tls-head.ts'
import type { SessionOptions } from '../mux/session.ts'
import type { HealthChecks } from '../origin/health-checks.ts'
import { OriginExchange, type OriginContext } from '../origin/origin-exchange.ts'
import { acceptTcp, acceptTls, type TcpOriginContext } from '../origin/tcp-origin.ts'

const MAX_PROFILES = 4_096

/** The part of the inner layer that asks origins whether they are well. */
export interface HealthContext {
  readonly health: HealthChecks
}

/** Creates the handler of one session: its streams, and the notes that they refer to. */
export function createSessionHandler(
  context: OriginContext & TcpOriginContext & HealthContext,
  note: (payload: Buffer) => void,
): Required<Pick<SessionOptions, 'accept'>> & {
  /** A note, read. @throws GatewayError PROTOCOL */
  readonly onNote: (note: ReturnType<typeof decodeNote>) => void
  readonly close: () => void
} {
  const watch = context.health.watch((number, isHealthy, reason) => note(encodeHealthReport({ number, isHealthy, reason })))
  const profiles = new AnnouncedProfiles(MAX_PROFILES)
  const lists = new KnownLists()
  return {
    accept: (payload, stream) => {
      if (payload[0] === KIND_TCP) return acceptTcp(payload, stream, context)
      if (payload[0] === KIND_TLS) return acceptTls(payload, stream, context)
      const head = decodeRequestHead(payload, lists.of)
      const exchange = new OriginExchange(stream, { head, profile: profiles.of(head.profile) }, context)
      exchange.start()
      return exchange
    },
    onNote: note => {
      if (note.note === 'health') {
        const { checks, isFirst } = parseHealthNote(note)
        return watch.want(checks, isFirst, profiles.of)
      }
      if (note.note === 'profile') profiles.take(note)
      else if (note.note === 'fields') lists.take(note)
    },
    close: () => watch.close(),
  }
}
