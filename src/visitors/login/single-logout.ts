import { randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import { visitorName } from '../../route/access.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'
import type { Provider, ProviderLogout } from '../providers/provider.ts'
import { MAX_RESPONSE } from '../providers/saml-safety.ts'
import { providerSessionId } from '../session/revocations.ts'
import { cookieValues, setCookie } from '../session/session-cookie.ts'
import { atAuthHost, type KnownSession } from '../session/sessions.ts'
import { limitAttempt } from './attempt-limit.ts'
import { authScheme, type LoginContext } from './login-context.ts'
import { redirect } from './redirect.ts'
import { LOGIN_MS } from './tickets.ts'

const MAX_FORM_BYTES = 2 * MAX_RESPONSE
const STATE_FORM = /^[\w-]{22}$/
/** Cookies of logouts under way at a provider, one for each. */
const endKind = (state: string): string => `end-${state.slice(0, 8)}`

/** The common end of sessions, with providers that know one: begun here, or by them. */
export class SingleLogout {
  constructor(private readonly context: LoginContext) {}

  get pages(): readonly Page[] {
    return [
      { place: 'auth', path: '/saml/*/end', method: 'GET', answer: call => this.#begin(call) },
      { place: 'auth', path: '/saml/*/logout', method: 'GET', answer: call => this.#hear(call, 'query') },
      { place: 'auth', path: '/saml/*/logout', method: 'POST', maxBodyBytes: MAX_FORM_BYTES, answer: call => this.#hear(call, 'form') },
    ]
  }

  /** The link by which somebody ends their session at the provider, and all that came of it; undefined where there is no such end. */
  async linkOf({ session }: KnownSession): Promise<string | undefined> {
    const { providers, tickets, config } = this.context
    const { person, atProvider } = session
    const provider = providers.find(person.provider)
    if (provider?.logout === undefined || atProvider === undefined || !(await provider.logout.isOffered())) return undefined
    const { authUrl, authHost } = config()
    const who = person.email ?? person.name ?? person.subject
    const ticket = tickets.sealEnd({ provider: person.provider, session: atProvider, who }, authHost)
    return `${authUrl}/saml/${person.provider}/end?ticket=${encodeURIComponent(ticket)}`
  }

  /** Somebody has followed that link. */
  async #begin(call: PageCall): Promise<OwnAnswer> {
    const { tickets, config } = this.context
    const { authHost } = config()
    const { provider, logout } = this.#providerOf(call)
    if (provider === undefined || logout === undefined) return this.context.pages.missing(call, [])
    const { name } = provider.config
    const ticket = tickets.openEnd(call.parameters.get('ticket'), authHost)
    if (ticket?.provider !== name) return this.#failed(call, name, 'a link that is too old, or none of ours')
    const limited = limitAttempt(this.context, call)
    if (limited !== undefined) return limited
    const { session, who } = ticket
    // Whatever the provider does: here it is over.
    this.#end(name, session.nameId, [session.index])
    this.context.onEvent({ kind: 'logout', who, isEverywhere: true, address: call.client.address })
    const state = randomBytes(16).toString('base64url')
    const request = `_${randomBytes(16).toString('hex')}`
    const sealed = tickets.sealAsked({ provider: name, state, request }, authHost)
    const cookie = setCookie(endKind(state), authScheme(config()), sealed, LOGIN_MS / 1000, 'form')
    return this.#asking(call, provider, async () => redirect(await logout.begin(session, { id: request, state }), [cookie]))
  }

  /** A browser brings a message of the provider. */
  async #hear(call: PageCall, by: 'query' | 'form'): Promise<OwnAnswer> {
    const { provider, logout } = this.#providerOf(call)
    if (provider === undefined || logout === undefined) return this.context.pages.missing(call, [])
    const limited = limitAttempt(this.context, call)
    if (limited !== undefined) return limited
    const parameters = by === 'query' ? call.parameters : parametersOf(call.body.toString('utf8'))
    const url = `${this.context.config().authUrl}${call.path}`
    const relayState = parameters.get('RelayState')
    return this.#asking(call, provider, async () => {
      const word = await logout.read({ url, query: by === 'query' ? call.query : undefined, parameters })
      const { name } = provider.config
      if (word.kind === 'none') return this.#failed(call, name, word.reason)
      if (word.kind === 'answer') return this.#answered(call, provider, relayState ?? '', word)
      if (!(await this.context.tickets.useAssertion(word.use))) return this.#failed(call, name, 'a request that was used')
      const who = this.#whoAt(call, name, word.nameId)
      this.#end(name, word.nameId, word.indexes)
      this.context.onEvent({ kind: 'logout', who, isEverywhere: true, address: call.client.address })
      const back = await logout.confirm(word.id, relayState)
      return back === undefined ? this.context.pages.loggedOut(call, { isEverywhere: true, again: undefined }, []) : redirect(back, [], 303)
    })
  }

  /** The provider says whether it has done what was asked for here. */
  #answered(
    call: PageCall,
    { config: { name, title } }: Provider,
    state: string,
    { request, isDone }: { readonly request: string; readonly isDone: boolean },
  ): OwnAnswer {
    const { tickets, config, pages } = this.context
    const { authHost } = config()
    const scheme = authScheme(config())
    const sealed = STATE_FORM.test(state) ? cookieValues(call.request, endKind(state), scheme) : []
    const isAsked = sealed
      .map(each => tickets.openAsked(each, authHost))
      .some(each => each?.provider === name && each.state === state && each.request === request)
    if (!isAsked) return this.#failed(call, name, 'an answer to a logout that this browser has not asked for, or too long ago')
    const done = ['Set-Cookie', setCookie(endKind(state), scheme, '', 0, 'form')]
    if (!isDone) return this.#failed(call, name, 'the provider says that it has not logged out everywhere', done, title)
    const answer = pages.loggedOutElsewhere(call)
    return { ...answer, fields: [...answer.fields, ...done] }
  }

  /** In force at once; written down for restarts and for other processes. @param indexes  none: all of the name */
  #end(provider: string, nameId: string, indexes: readonly string[]): void {
    const { clock, revocations, persist, onFault } = this.context
    const ids =
      indexes.length === 0 ? [providerSessionId(provider, nameId)] : indexes.map(index => providerSessionId(provider, nameId, index))
    const ended = ids.map(id => ({ kind: 'session', atMs: clock(), id }) as const)
    revocations.add(ended)
    for (const each of ended) persist(each).catch((thrown: unknown) => onFault(thrown))
  }

  /** The person, where the browser is logged in as such here; else what the provider calls them. */
  #whoAt({ request }: PageCall, provider: string, nameId: string): string {
    const { sessions, config } = this.context
    const known = sessions.find({ request, host: config().authHost, scheme: authScheme(config()) }, atAuthHost(provider))
    return known?.session.atProvider?.nameId === nameId ? visitorName(known.visitor) : nameId.slice(0, 254)
  }

  #providerOf({ path }: PageCall): { readonly provider?: Provider | undefined; readonly logout?: ProviderLogout | undefined } {
    const [, , name = ''] = path.split('/')
    const provider = this.context.providers.find(name)
    return { provider, logout: provider?.logout }
  }

  /** Asks a provider, which may be away. */
  async #asking(call: PageCall, { config: { name, title } }: Provider, ask: () => Promise<OwnAnswer>): Promise<OwnAnswer> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof GatewayError && error.code === 'VISITOR_PROVIDER_AWAY')) this.context.onFault(error)
      return this.#failed(
        call,
        name,
        `the provider cannot be asked: ${error instanceof GatewayError ? error.message : 'a fault of ours'}`,
        [],
        title,
      )
    }
  }

  /** @param title  of a provider at which somebody may be logged in still */
  #failed(call: PageCall, provider: string, reason: string, fields: readonly string[] = [], title?: string): OwnAnswer {
    this.context.onEvent({ kind: 'logout-failed', provider, reason, address: call.client.address })
    return { ...this.context.pages.logoutFailed(call, title, fields), refusal: { code: 'VISITOR_LOGIN_FAILED', reason } }
  }
}
