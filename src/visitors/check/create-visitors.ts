import { SessionLane } from '../session/session-lane.ts'
import { IdentityTokens } from '../session/identity-token.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Revocation } from '../session/revocations.ts'
import { Revocations } from '../session/revocations.ts'
import { Seal } from '../session/seal.ts'
import { Sessions } from '../session/sessions.ts'
import { SessionWatch } from '../session/session-watch.ts'
import type { VisitorsConfig } from '../config.ts'
import type { Lane } from '../lane.ts'
import type { Page } from '../page.ts'
import { OriginFields } from './origin-fields.ts'
import { OwnPages } from './own-pages.ts'
import { programAnswer } from './program-answer.ts'
import { Visitors } from './visitors.ts'

/** What the check of visitors is made from. */
export interface VisitorsOptions {
  /** Those in force. */
  readonly config: () => VisitorsConfig
  readonly keys: () => KeyRing
  /** Writes down that sessions were ended. */
  readonly persist: (revocation: Revocation) => Promise<void>
  /** ms since 1970 */
  readonly clock: () => number
  /** Tells a fault of ours. */
  readonly onFault: (thrown: unknown) => void
  /** Other ways in, in the order in which they are asked: before the sessions of browsers. */
  readonly lanes?: readonly Lane[]
  /** Other pages of the gateway. */
  readonly pages?: readonly Page[]
}

/** The check, and what belongs to it. */
export interface CreatedVisitors {
  readonly check: Visitors
  /** Puts revocations in force that have come from elsewhere. */
  readonly revocations: Revocations
  close(): void
}

/** Puts the check of visitors together. */
export function createVisitors(options: VisitorsOptions): CreatedVisitors {
  const { config, keys, clock, onFault } = options
  const revocations = new Revocations(clock)
  const seal = new Seal(keys)
  const sessions = new Sessions({ seal, revocations, config, clock })
  const watch = new SessionWatch(onFault)
  const unfollow = revocations.onChange(() => watch.look())
  const identities = new IdentityTokens(keys, () => config().authUrl, clock)
  const lanes: readonly Lane[] = [...(options.lanes ?? []), new SessionLane(sessions, watch)]
  const check = new Visitors({
    lanes,
    people: {
      toLogin: request => programAnswer(request, { code: 'VISITOR_LOGIN_MISSING' }, []),
      refused: (request, rejection) => programAnswer(request, rejection, []),
    },
    origin: new OriginFields(identities, clock),
    pages: new OwnPages(options.pages ?? [], {
      missing: request => programAnswer(request, { code: 'VISITOR_LOGIN_FAILED' }, []),
    }),
    authHost: () => config().authHost,
  })
  return {
    check,
    revocations,
    close: () => {
      unfollow()
      watch.close()
    },
  }
}
