import { randomBytes } from 'node:crypto'
import { asGatewayError, messageOf } from '../../errors.ts'
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import type { ProviderConfig } from '../config.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'
import { ACCOUNT_PATH } from '../providers/accounts-provider.ts'
import type { KnownPerson, LoginReturn, Provider } from '../providers/provider.ts'
import { MAX_RESPONSE } from '../providers/saml-safety.ts'
import { sessionText, type Session } from '../session/session.ts'
import { cookieKinds, cookieValues, setCookie } from '../session/session-cookie.ts'
import { atAuthHost, newSessionId, type KnownSession } from '../session/sessions.ts'
import { limitAttempt } from './attempt-limit.ts'
import { authScheme, type LoginContext } from './login-context.ts'
import { redirect, withoutFragment } from './redirect.ts'
import { LOGIN_MS, type Attempt, type Wish } from './tickets.ts'

/** Cookies of logins under way: one for each, so that two tabs do not disturb each other. */
const attemptKind = (state: string): string => `try-${state.slice(0, 8)}`
/** Of a form of SAML, whose base64 is percent-encoded once more. */
const MAX_FORM_BYTES = 2 * MAX_RESPONSE
/** Logins that one browser has under way. */
const MAX_ATTEMPTS = 5
const NO_FORM: ReadonlyMap<string, string> = new Map()
const STATE_FORM = /^[\w-]{22}$/

const nameOf = ({ person }: Session): string => person.email ?? person.name ?? person.subject

/** The part of a login that is on the auth host: choice of the provider, the way there and back, and on to the host that wants to know. */
export class AuthLogin {
  constructor(private readonly context: LoginContext) {}

  get pages(): readonly Page[] {
    return [
      { place: 'auth', path: '/login', method: 'GET', answer: call => this.#arrive(call) },
      { place: 'auth', path: '/login/start', method: 'GET', answer: call => this.#start(call) },
      { place: 'auth', path: ACCOUNT_PATH, method: 'GET', answer: call => this.#askPassword(call) },
      { place: 'auth', path: '/callback/*', method: 'GET', answer: call => this.#comeBack(call, 'query', call.parameters) },
      {
        place: 'auth',
        path: '/callback/*',
        method: 'POST',
        maxBodyBytes: MAX_FORM_BYTES,
        answer: call => this.#comeBack(call, 'form', parametersOf(call.body.toString('utf8'))),
      },
    ]
  }

  /** A host has sent a browser to find out who it is. */
  #arrive(call: PageCall): OwnAnswer | Promise<OwnAnswer> {
    const sealed = call.parameters.get('wish')
    const wish = this.#wishOf(sealed)
    if (wish === undefined) return this.#failed(call, '-', 'a wish that is too old, or none of ours')
    const choices = this.context.providers.of(wish.providers ?? undefined)
    const known = choices.map(({ name }) => this.#known(call, name, wish)).find(each => each !== undefined)
    const isAgreed = call.parameters.get('as') === 'known'
    if (known !== undefined && (!wish.isFresh || isAgreed)) return this.#handOver(wish, known.session)
    const [only] = choices
    if (known === undefined && only !== undefined && choices.length === 1 && !wish.isFresh) return this.#begin(call, only.name, sealed!)
    const query = `wish=${encodeURIComponent(sealed!)}`
    return this.context.pages.choose(call, {
      host: new URL(wish.origin).host,
      choices: choices.map(({ name, title }) => ({
        title,
        url: `/login/start?provider=${name}&${query}${wish.isFresh ? '&again=1' : ''}`,
      })),
      current: known === undefined ? undefined : { title: nameOf(known.session), url: `/login?as=known&${query}` },
    })
  }

  /** Somebody has chosen a provider. */
  #start(call: PageCall): OwnAnswer | Promise<OwnAnswer> {
    const sealed = call.parameters.get('wish')
    const wish = this.#wishOf(sealed)
    const name = call.parameters.get('provider') ?? ''
    if (wish === undefined) return this.#failed(call, '-', 'a wish that is too old, or none of ours')
    if (!this.context.providers.of(wish.providers ?? undefined).some(provider => provider.name === name))
      return this.#failed(call, '-', 'a provider that is not among those of the target')
    return this.#begin(call, name, sealed!, { asksAgain: call.parameters.get('again') === '1' })
  }

  async #begin(
    call: PageCall,
    name: string,
    wish: string,
    {
      asksAgain = false,
      wasWrong = false,
      cookies = [],
    }: { readonly asksAgain?: boolean; readonly wasWrong?: boolean; readonly cookies?: readonly string[] } = {},
  ): Promise<OwnAnswer> {
    const { config, providers, tickets } = this.context
    const provider = providers.find(name)
    if (provider === undefined) return this.#failed(call, name, 'a provider that is no more')
    const limited = limitAttempt(this.context, call)
    if (limited !== undefined) return limited
    const state = randomBytes(16).toString('base64url')
    try {
      const { url, secret } = await provider.begin({ redirectUri: redirectUriOf(config().authUrl, name), state, asksAgain, wasWrong })
      const sealed = tickets.sealAttempt({ provider: name, state, secret, wish }, config().authHost)
      const cookie = setCookie(attemptKind(state), authScheme(config()), sealed, LOGIN_MS / 1000, provider.comesBackBy)
      return redirect(url, [...cookies, ...this.#surplus(call, state), cookie], call.request.method === 'GET' ? 302 : 303)
    } catch (error) {
      return this.#away(call, provider, error, `/login/start?provider=${name}&wish=${encodeURIComponent(wish)}`)
    }
  }

  /** Somebody logs in by an account of the service: here is its page. */
  #askPassword(call: PageCall): OwnAnswer {
    const { config, providers, tickets, pages } = this.context
    const name = call.parameters.get('provider') ?? ''
    const state = call.parameters.get('state') ?? ''
    if (providers.find(name)?.config.kind !== 'accounts') return pages.missing(call, [])
    const cookies = STATE_FORM.test(state) ? cookieValues(call.request, attemptKind(state), authScheme(config())) : []
    const attempt = cookies
      .map(cookie => this.#isOf(tickets.readAttempt(cookie, config().authHost), state, name))
      .find(each => each !== undefined)
    const wish = this.#wishOf(attempt?.wish ?? undefined)
    if (wish === undefined)
      return this.#failed(call, name, 'the browser has kept no cookie of the auth host, or has not begun this login', 'cookies')
    return pages.account(call, {
      action: `/callback/${name}`,
      state,
      origin: wish.origin,
      wasWrong: call.parameters.get('wrong') === '1',
    })
  }

  /**
   * Ends the oldest logins of a browser that has begun many: pages of other sites could have it begin so many that it brings more cookies
   * than any request may have.
   */
  #surplus({ request }: PageCall, state: string): readonly string[] {
    const scheme = authScheme(this.context.config())
    const kinds = cookieKinds(request, attemptKind(''), scheme).filter(kind => kind !== attemptKind(state))
    return kinds.slice(0, Math.max(0, kinds.length - MAX_ATTEMPTS + 1)).map(kind => setCookie(kind, scheme, '', 0, 'form'))
  }

  /** The provider has sent the browser back. */
  async #comeBack(call: PageCall, by: 'query' | 'form', parameters: ReadonlyMap<string, string>): Promise<OwnAnswer> {
    const { config, providers, sessions, tickets, clock } = this.context
    const { authHost, authUrl } = config()
    const scheme = authScheme(config())
    const name = call.path.slice('/callback/'.length)
    const known = providers.find(name)
    if (known !== undefined && (known.comesBackBy === 'query') !== (by === 'query'))
      return this.#failed(call, name, `the provider does not come back by a ${by}`)
    const state = parameters.get(by === 'form' ? 'RelayState' : 'state') ?? ''
    const returned: LoginReturn = {
      url: new URL(`${authUrl}${call.path}${call.query}`),
      form: by === 'form' ? parameters : NO_FORM,
      address: call.client.address,
    }
    if (!STATE_FORM.test(state)) return by === 'form' ? this.#arriveUnasked(call, known, returned) : this.#failed(call, name, 'no state')
    const kind = attemptKind(state)
    const cookies = cookieValues(call.request, kind, scheme)
    if (cookies.length === 0)
      return this.#failed(call, name, 'the browser has kept no cookie of the auth host, or has not begun this login', 'cookies')
    const opened = cookies.map(async cookie => this.#isOf(await tickets.openAttempt(cookie, authHost), state, name))
    const attempt = (await Promise.all(opened)).find(each => each !== undefined)
    const provider = attempt === undefined ? undefined : known
    const done = [setCookie(kind, scheme, '', 0, known?.comesBackBy)]
    if (attempt === undefined || provider === undefined)
      return this.#failed(call, name, 'a login that is too old, was used, or is another one', 'failed', done)
    const wish = this.#wishOf(attempt.wish ?? undefined)
    if (wish === undefined) return this.#failed(call, name, 'the page that wanted the login is too long ago', 'failed', done)
    try {
      const end = await provider.finish(returned, attempt.secret, { state, redirectUri: redirectUriOf(authUrl, name) })
      if (end.kind === 'limited') return this.#limited(call, end, done)
      if (end.kind === 'failed' && end.failure === 'credentials') {
        this.#tellFailed(call, name, end.reason)
        return await this.#begin(call, name, attempt.wish ?? '', { wasWrong: true, cookies: done })
      }
      if (end.kind === 'failed') return this.#failed(call, name, end.reason, end.failure, done, attempt.wish ?? undefined)
      const session = newSession(end, clock())
      this.#tellOf(session, call)
      const cookie = sessions.issue(session, authHost, scheme, atAuthHost(name))
      const answer = this.#handOver(wish, session, [...done, cookie])
      return provider.config.kind === 'facebook' ? withoutFragment(answer) : answer
    } catch (error) {
      return this.#away(call, provider, error, `/login?wish=${encodeURIComponent(attempt.wish ?? '')}`, done)
    }
  }

  /** The provider has sent somebody who has not begun here: anybody can have a browser do that, with a login of their own. */
  async #arriveUnasked(call: PageCall, provider: Provider | undefined, returned: LoginReturn): Promise<OwnAnswer> {
    const { config, sessions, tickets, clock } = this.context
    const landing = provider?.config.saml?.landing
    const name = provider?.config.name ?? '-'
    if (provider?.finishUnasked === undefined || landing === undefined)
      return this.#failed(call, name, 'no state: a login that begins at the provider, which is not allowed here')
    const limited = limitAttempt(this.context, call)
    if (limited !== undefined) return limited
    try {
      const { end, id } = await provider.finishUnasked(returned, redirectUriOf(config().authUrl, name))
      if (end.kind !== 'person') return this.#failed(call, name, end.reason)
      if (!(await tickets.useAssertion(id))) return this.#failed(call, name, 'an assertion that was used')
      const session = newSession(end, clock())
      this.#tellOf(session, call)
      return redirect(landing, [sessions.issue(session, config().authHost, authScheme(config()), atAuthHost(name))], 303)
    } catch (error) {
      return this.#away(call, provider, error, landing)
    }
  }

  /** There were too many wrong passwords. */
  #limited(call: PageCall, { waitS, reason }: { readonly waitS: number; readonly reason: string }, cookies: readonly string[]): OwnAnswer {
    const fields = ['Retry-After', String(waitS), ...cookies.flatMap(cookie => ['Set-Cookie', cookie])]
    return { ...this.context.pages.refused(call, 'RATE_LIMITED', undefined, fields), refusal: { code: 'RATE_LIMITED', reason } }
  }

  #tellFailed(call: PageCall, provider: string, reason: string): void {
    const { providers, onEvent } = this.context
    onEvent({ kind: 'login-failed', provider: providers.find(provider)?.config.name ?? '-', reason, address: call.client.address })
  }

  #tellOf(session: Session, { client }: PageCall): void {
    this.context.onEvent({ kind: 'login', provider: session.person.provider, who: nameOf(session), address: client.address })
  }

  /** The path says by whom the browser was sent: another provider could not make a code of its own look like that of this one. */
  #isOf(attempt: Attempt | undefined, state: string, provider: string): Attempt | undefined {
    return attempt?.state === state && attempt.provider === provider ? attempt : undefined
  }

  /** Tells the host who it is. */
  #handOver(wish: Wish, session: Session, cookies: readonly string[] = []): OwnAnswer {
    const { tickets, sessions, config } = this.context
    const { person, loginId, loggedInMs, atProvider } = session
    // A page of this host needs no code: it has the session already.
    if (wish.origin === config().authUrl) return redirect(`${wish.origin}${wish.path}`, cookies, 303)
    const own: Session = { person, loginId, id: newSessionId(), loggedInMs, seenMs: this.context.clock(), atProvider }
    const { browser, path, sessionMs, host, origin } = wish
    const code = tickets.sealCode({ id: own.id, browser, path, sessionMs, session: sessionText(own) }, host)
    const place = atAuthHost(person.provider)
    // A login that was used is one that somebody is at.
    const renewed = cookies.length > 0 ? undefined : sessions.renew(session, config().authHost, authScheme(config()), place)
    return redirect(`${origin}/.sg/session?code=${encodeURIComponent(code)}`, renewed === undefined ? cookies : [...cookies, renewed], 303)
  }

  /** Somebody who is logged in at the auth host by this provider, for long enough not yet. */
  #known(call: PageCall, provider: string, wish: Wish): KnownSession | undefined {
    const { sessions, config } = this.context
    const at = { request: call.request, host: config().authHost, scheme: authScheme(config()) }
    return sessions.find(at, atAuthHost(provider), shorter(wish.sessionMs, config().sessionMs))
  }

  #wishOf(sealed: string | undefined): Wish | undefined {
    return this.context.tickets.openWish(sealed, this.context.config().authHost)
  }

  #away(
    call: PageCall,
    { config }: { readonly config: ProviderConfig },
    error: unknown,
    again: string,
    cookies: readonly string[] = [],
  ): OwnAnswer {
    const { pages, onEvent, onFault } = this.context
    const { code, message } = asGatewayError(error)
    if (code !== 'VISITOR_PROVIDER_AWAY') onFault(error)
    const reason = messageOf(message)
    onEvent({ kind: 'login-failed', provider: config.name, reason, address: call.client.address })
    const answer = pages.away(call, config.title, again)
    return {
      ...answer,
      fields: [...answer.fields, ...cookies.flatMap(cookie => ['Set-Cookie', cookie])],
      refusal: { code: 'VISITOR_PROVIDER_AWAY', reason },
    }
  }

  #failed(
    call: PageCall,
    provider: string,
    reason: string,
    failure: 'failed' | 'unverified' | 'cancelled' | 'cookies' | 'credentials' = 'failed',
    cookies: readonly string[] = [],
    wish?: string,
  ): OwnAnswer {
    const { pages, providers } = this.context
    this.#tellFailed(call, provider, reason)
    const again = wish === undefined ? undefined : `/login?wish=${encodeURIComponent(wish)}`
    const title = providers.find(provider)?.config.title ?? ''
    const fields = cookies.flatMap(cookie => ['Set-Cookie', cookie])
    return {
      ...pages.failed(call, failure === 'credentials' ? 'failed' : failure, { provider: title, again, fields }),
      refusal: { code: 'VISITOR_LOGIN_FAILED', reason },
    }
  }
}

const redirectUriOf = (authUrl: string, provider: string): string => `${authUrl}/callback/${provider}`

const shorter = (wanted: number | null, usual: number): number => (wanted === null ? usual : Math.min(wanted, usual))

function newSession({ person, atProvider }: KnownPerson, now: number): Session {
  const id = newSessionId()
  return { person, loginId: id, id, loggedInMs: now, seenMs: now, atProvider }
}
