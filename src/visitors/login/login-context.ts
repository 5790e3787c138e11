import type { RateMeter } from '../../rates/rate-meter.ts'
import type { VisitorsConfig } from '../config.ts'
import type { LoginEvent } from '../login-event.ts'
import type { Pages } from '../pages/pages.ts'
import type { Revocation, Revocations } from '../session/revocations.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Providers } from '../providers/providers.ts'
import type { Tickets } from './tickets.ts'

/** The parts that logins depend on. */
export interface LoginContext {
  readonly config: () => VisitorsConfig
  readonly sessions: Sessions
  readonly revocations: Revocations
  readonly persist: (revocation: Revocation) => Promise<void>
  readonly providers: Providers
  readonly tickets: Tickets
  readonly pages: Pages
  /** Logins that are begun, by address. */
  readonly attempts: RateMeter
  readonly onEvent: (event: LoginEvent) => void
  readonly onFault: (thrown: unknown) => void
  /** ms since 1970 */
  readonly clock: () => number
}

/** The scheme of the auth host, which decides on the names of its cookies. */
export const authScheme = ({ authUrl }: Pick<VisitorsConfig, 'authUrl'>): 'http' | 'https' =>
  authUrl.startsWith('https:') ? 'https' : 'http'
