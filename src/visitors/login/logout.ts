import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'
import type { Choice } from '../pages/pages.ts'
import { setCookie } from '../session/session-cookie.ts'
import { AT_TARGETS, atAuthHost, type KnownSession } from '../session/sessions.ts'
import type { Revocation } from '../session/revocations.ts'
import { DONE, LEFT } from './host-login.ts'
import { authScheme, type LoginContext } from './login-context.ts'
import { isOfOwnPage } from './own-page.ts'
import type { SingleLogout } from './single-logout.ts'

const MAX_FORM_BYTES = 1_024
const SOON_MS = 2_000
/** Until the next login here, or a day. */
const LEFT_S = 86_400

/** The ends of sessions that people want: of one host, or everywhere. */
export class Logout {
  /** @param single  the common end of sessions with providers that know one */
  constructor(
    private readonly context: LoginContext,
    private readonly single: SingleLogout,
  ) {}

  get pages(): readonly Page[] {
    return [
      { place: 'target', path: '/.sg/logout', method: 'GET', answer: call => this.#ask(call, this.#atTarget(call), '/.sg/logout') },
      {
        place: 'target',
        path: '/.sg/logout',
        method: 'POST',
        maxBodyBytes: MAX_FORM_BYTES,
        answer: call => this.#leave(call, this.#atTarget(call)),
      },
      { place: 'auth', path: '/logged-out', method: 'GET', answer: call => this.context.pages.loggedOutElsewhere(call) },
      { place: 'auth', path: '/', method: 'GET', answer: call => this.#ask(call, this.#atAuthHost(call), '/logout') },
      { place: 'auth', path: '/logout', method: 'GET', answer: call => this.#ask(call, this.#atAuthHost(call), '/logout') },
      {
        place: 'auth',
        path: '/logout',
        method: 'POST',
        maxBodyBytes: MAX_FORM_BYTES,
        answer: call => this.#leave(call, this.#atAuthHost(call)),
      },
    ]
  }

  #ask(call: PageCall, known: readonly KnownSession[], action: string): OwnAnswer {
    const [first] = known
    return this.context.pages.logout(call, { who: first && nameOf(first), action })
  }

  async #leave(call: PageCall, known: readonly KnownSession[]): Promise<OwnAnswer> {
    const { pages, clock, onEvent } = this.context
    // Another site could log people out as it likes.
    if (!isOfOwnPage(call))
      return { ...pages.refused(call, 'VISITOR_CROSS_SITE'), refusal: { code: 'VISITOR_CROSS_SITE', reason: 'a logout from another site' } }
    const isEverywhere = parametersOf(call.body.toString('utf8')).get('scope') === 'everywhere'
    for (const each of known) {
      const { person, id } = each.session
      const atMs = clock()
      this.#revoke(
        isEverywhere ? { kind: 'account', atMs, provider: person.provider, subject: person.subject } : { kind: 'session', atMs, id },
      )
      onEvent({ kind: 'logout', who: nameOf(each), isEverywhere, address: call.client.address })
    }
    const isAtTarget = call.host !== this.context.config().authHost
    const { scheme } = call.client
    const cookies = isAtTarget
      ? [setCookie(AT_TARGETS.kind, scheme, '', 0), setCookie(DONE, scheme, '', 0), setCookie(LEFT, scheme, '1', LEFT_S)]
      : [...this.context.config().providers.keys()].map(name => setCookie(atAuthHost(name).kind, authScheme(this.context.config()), '', 0))
    const fields = cookies.flatMap(cookie => ['Set-Cookie', cookie])
    const elsewhere = await this.#elsewhere(known)
    return pages.loggedOut(call, { isEverywhere, again: isAtTarget ? '/' : undefined, elsewhere }, fields)
  }

  /** Providers at which somebody is logged in still, as far as they say where that ends. A link, since a form may lead nowhere else. */
  async #elsewhere(known: readonly KnownSession[]): Promise<readonly Choice[]> {
    const { providers, config } = this.context
    const ends = known.map(async each => {
      const provider = providers.find(each.session.person.provider)
      const url = await soon(provider?.endUrl?.(`${config().authUrl}/logged-out`) ?? this.single.linkOf(each))
      return provider === undefined || url === undefined ? [] : [{ title: provider.config.title, url }]
    })
    return (await Promise.all(ends)).flat()
  }

  /** In force at once; written down for restarts and for other processes. */
  #revoke(revocation: Revocation): void {
    this.context.revocations.add([revocation])
    this.context.persist(revocation).catch((thrown: unknown) => this.context.onFault(thrown))
  }

  #atTarget({ request, host, client }: PageCall): readonly KnownSession[] {
    const known = this.context.sessions.find({ request, host, scheme: client.scheme }, AT_TARGETS)
    return known === undefined ? [] : [known]
  }

  #atAuthHost({ request }: PageCall): readonly KnownSession[] {
    const { sessions, config } = this.context
    const at = { request, host: config().authHost, scheme: authScheme(config()) }
    return [...config().providers.keys()].map(name => sessions.find(at, atAuthHost(name))).filter(known => known !== undefined)
  }
}

/** Waits a moment only: a provider that is away keeps nobody from being logged out here. */
async function soon<T>(value: Promise<T | undefined> | undefined): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => (timer = setTimeout(() => resolve(undefined), SOON_MS)))
  try {
    return await Promise.race([value, late])
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

const nameOf = ({ session: { person } }: KnownSession): string => person.email ?? person.name ?? person.subject
