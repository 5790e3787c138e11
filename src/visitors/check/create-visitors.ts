import { DeviceLane } from '../session/device-lane.ts'
import { SessionLane } from '../session/session-lane.ts'
import { IdentityTokens } from '../session/identity-token.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Revocation } from '../session/revocations.ts'
import { Revocations } from '../session/revocations.ts'
import { Seal } from '../session/seal.ts'
import { Sessions } from '../session/sessions.ts'
import { SessionWatch } from '../session/session-watch.ts'
import { SocketLogins } from '../session/socket-logins.ts'
import type { VisitorsConfig } from '../config.ts'
import type { Lane } from '../lane.ts'
import type { Page } from '../page.ts'
import type { LoginContext } from '../login/login-context.ts'
import type { LoginEvent } from '../login-event.ts'
import { Failures } from '../failures.ts'
import type { SharedByVisitors } from '../shared.ts'
import { AuthLogin } from '../login/auth-login.ts'
import { DEVICE_AUTHORIZE, DeviceLogin } from '../login/device-login.ts'
import { HostLogin } from '../login/host-login.ts'
import type { HeldSockets } from '../holders/held-socket.ts'
import { HolderLane } from '../holders/holder-lane.ts'
import { HolderLogin } from '../holders/holder-login.ts'
import { HolderSigning } from '../holders/holder-signing.ts'
import { Logout } from '../login/logout.ts'
import type { AccountCheck } from '../providers/accounts-provider.ts'
import { Providers } from '../providers/providers.ts'
import { SingleLogout } from '../login/single-logout.ts'
import { samlPage } from '../login/saml-page.ts'
import { Tickets } from '../login/tickets.ts'
import { DevicePages } from '../pages/device-pages.ts'
import { HolderPages } from '../pages/holder-pages.ts'
import { Pages } from '../pages/pages.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import type { Access } from '../../route/access.ts'
import { jwksPage } from './jwks-page.ts'
import { OriginFields } from './origin-fields.ts'
import { OwnPages } from './own-pages.ts'
import { DefaultedProviders } from './defaulted-providers.ts'
import { Visitors } from './visitors.ts'

/** Logins that one address may begin: each asks a provider. */
const ATTEMPTS = { perSecond: 1 / 2, burst: 60 } as const

/** The lanes by which a program gets a connection that is carried as it is. */
const FOR_PROGRAMS: ReadonlySet<string> = new Set(['token', 'jwt', 'certificate'])

/** The parts that other ways in may need. */
export interface LaneParts {
  readonly sessions: Sessions
  readonly seal: Seal
  /** Ends what is open when its credential is over. */
  readonly watch: SessionWatch
}

/** The parts from which the check of visitors is made. */
export interface VisitorsOptions {
  /** Those in force. */
  readonly config: () => VisitorsConfig
  readonly keys: () => KeyRing
  /** Writes down that sessions were ended. */
  readonly persist: (revocation: Revocation) => Promise<void>
  /** ms since 1970 */
  readonly clock: () => number
  /** ms, rising; the default suits everything but tests. */
  readonly steady?: () => number
  /** Tells of logins and logouts, for the log. */
  readonly onEvent: (event: LoginEvent) => void
  /** Tells a fault of ours. */
  readonly onFault: (thrown: unknown) => void
  /** Logins that one address may begin; the default suits everything but tests. */
  readonly attempts?: { readonly perSecond: number; readonly burst: number }
  /** Other ways in, in the order in which they are asked: before the sessions of browsers. */
  readonly lanes?: (parts: LaneParts) => readonly Lane[]
  /** Asks the service whose address and password something is; absent: there is no service. */
  readonly accounts?: AccountCheck | undefined
  /** The sockets of a service that programs open with certificates; absent: there are none. */
  readonly held?: HeldSockets | undefined
  /** Other pages of the gateway. */
  readonly pages?: readonly Page[]
  /** Of all processes; undefined: this one is alone. */
  readonly shared?: SharedByVisitors | undefined
}

/** The check, and what belongs to it. */
export interface CreatedVisitors {
  readonly check: Visitors
  /** Puts revocations in force that have come from elsewhere. */
  readonly revocations: Revocations
  /** Looks whether the providers in force can be used, as far as that is known without the network. @throws GatewayError CONFIG_INVALID, as a rejection */
  checkProviders(): Promise<void>
  close(): void
}

/** Puts the check of visitors together. */
export function createVisitors(options: VisitorsOptions): CreatedVisitors {
  const { config, keys, clock, steady = () => performance.now(), onFault, shared } = options
  const revocations = new Revocations(clock)
  const seal = new Seal(keys)
  const sessions = new Sessions({ seal, revocations, config, clock })
  const watch = new SessionWatch(onFault)
  const unfollow = revocations.onChange(() => watch.look())
  const identities = new IdentityTokens(keys, () => config().authUrl, clock)
  const others = options.lanes?.({ sessions, seal, watch }) ?? []
  const authHost = (): string => config().authHost
  const logins = new SocketLogins(options.onEvent, steady)
  const ofPrograms = { seal, sessions, watch, logins, failures: failuresOf(steady, shared), authHost, steady }
  const devices = new DeviceLane(ofPrograms)
  const pages = new Pages(config)
  const context: LoginContext = {
    config,
    sessions,
    revocations,
    persist: options.persist,
    providers: new Providers(config, clock, options.accounts),
    tickets: new Tickets(seal, clock, shared?.exact),
    pages,
    attempts: shared?.counts.meter('logins', options.attempts ?? ATTEMPTS) ?? new RateMeter(options.attempts ?? ATTEMPTS, steady),
    onEvent: options.onEvent,
    onFault,
    clock,
  }
  const defaults = new DefaultedProviders(config)
  const host = new HostLogin(context)
  const device = new DeviceLogin(context, { seal, pages: new DevicePages(config), steady, shared })
  const single = new SingleLogout(context)
  const { held } = options
  const own = [
    ...host.pages,
    ...new AuthLogin(context).pages,
    ...device.pages,
    ...single.pages,
    ...new Logout(context, single).pages,
    jwksPage(identities),
    samlPage(config, call => pages.missing(call, [])),
    ...(held === undefined ? [] : holderPages(context, { seal, held, defaults, steady })),
  ]
  const check = new Visitors({
    lanes: [...others, new SessionLane(sessions, watch, logins)],
    connectionLanes: [...others.filter(({ name }) => FOR_PROGRAMS.has(name)), devices],
    people: host,
    origin: new OriginFields(identities, clock),
    pages: new OwnPages([...own, ...(options.pages ?? [])], pages),
    defaults,
    authHost,
    apiHost: held?.apiHost,
    holders: new HolderLane(ofPrograms),
    deviceUrl: () => config().authUrl + DEVICE_AUTHORIZE,
  })
  return {
    check,
    revocations,
    checkProviders: () => context.providers.check(),
    close: () => {
      unfollow()
      watch.close()
    },
  }
}

/** Wrong credentials of programs. */
const failuresOf = (steady: () => number, shared: SharedByVisitors | undefined): Failures =>
  new Failures(steady, undefined, undefined, shared && { counts: shared.counts, name: 'wrong credentials of programs' })

/** Logins and certificates for programs that open sockets of a service. */
function holderPages(
  context: LoginContext,
  {
    seal,
    held: sockets,
    defaults,
    steady,
  }: { readonly seal: Seal; readonly held: HeldSockets; readonly defaults: DefaultedProviders; readonly steady: () => number },
): readonly Page[] {
  const parts = { seal, sockets, pages: new HolderPages(context.config), ruleOf: (access: Access) => defaults.complete(access).login }
  return [...new HolderLogin(context, parts).pages, ...new HolderSigning(context, parts, steady).pages]
}
