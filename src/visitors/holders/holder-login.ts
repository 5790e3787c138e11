/*
 * Logins for programs on the machine of the browser, as later clients of MySocket begin them: the program opens a port of this machine and a
 * browser at
 *
 *   GET  /mtls-ca/socket/HOST/auth?port=…    the person logs in, and is asked
 *   POST /mtls-ca/socket/HOST/auth           says yes, and the browser brings a token to http://127.0.0.1:PORT/?token=…
 *
 * Below /api/v1, where the last clients look, the token is for every socket of the same owner: they keep one for all.
 */
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'
import { authScheme, type LoginContext } from '../login/login-context.ts'
import { isOfOwnPage } from '../login/own-page.ts'
import { redirect } from '../login/redirect.ts'
import { loopbackOf, type HolderPages } from '../pages/holder-pages.ts'
import type { Seal } from '../session/seal.ts'
import type { Session } from '../session/session.ts'
import { atAuthHost, newSessionId } from '../session/sessions.ts'
import { whyNotHeld, type HeldSocket, type HeldSockets } from './held-socket.ts'
import { mintHolderToken, type HolderScope } from './holder-grant.ts'
import type { RuleOf } from './rule-of.ts'

const MAX_FORM_BYTES = 1_024
const MAX_PORT = 65_535
/** Where the paths of clients begin: of those until early 2022, and of those after. */
export const CLIENT_ROOTS = ['', '/api/v1'] as const

/** The parts of these logins. */
export interface HolderLoginParts {
  readonly seal: Seal
  readonly pages: HolderPages
  readonly sockets: HeldSockets
  readonly ruleOf: RuleOf
}

/** Lets people log in for programs on the machine of their browser. */
export class HolderLogin {
  constructor(
    private readonly context: LoginContext,
    private readonly parts: HolderLoginParts,
  ) {}

  get pages(): readonly Page[] {
    return CLIENT_ROOTS.flatMap((root): Page[] => {
      const path = `${root}/mtls-ca/socket/*/auth`
      return [
        { place: 'auth', path, method: 'GET', answer: call => this.#ask(call) },
        { place: 'auth', path, method: 'POST', maxBodyBytes: MAX_FORM_BYTES, answer: call => this.#decide(call) },
        // Sessions are at the auth host.
        { place: 'api', path, method: 'GET', answer: call => redirect(`${this.context.config().authUrl}${call.path}${call.query}`, []) },
      ]
    })
  }

  #ask(call: PageCall): OwnAnswer {
    const asked = this.#read(call, call.parameters)
    if ('answer' in asked) return asked.answer
    const { session, socket, port } = asked
    const isForAll = scopeOf(call, socket).kind === 'account'
    const question = {
      who: nameOf(session),
      host: socket.host,
      isForAll,
      port,
      path: call.path,
      switchUrl: this.#loginUrl(call, port, true),
    }
    return this.parts.pages.confirm(call, question)
  }

  #decide(call: PageCall): OwnAnswer {
    const { pages, onEvent } = this.context
    if (!isOfOwnPage(call))
      return { ...pages.refused(call, 'VISITOR_CROSS_SITE'), refusal: { code: 'VISITOR_CROSS_SITE', reason: 'a form of another site' } }
    const form = parametersOf(call.body.toString('utf8'))
    const asked = this.#read(call, form)
    if ('answer' in asked) return asked.answer
    const { session, socket, port } = asked
    const isAllowed = form.get('decision') === 'allow'
    onEvent({
      ...{ kind: 'device', provider: session.person.provider, who: nameOf(session), address: call.client.address },
      ...{ program: `127.0.0.1:${port}`, tunnels: [socket.name], isAllowed },
    })
    // The program takes what comes in the query alone. It is of this machine, and so is everybody who could listen there.
    const query = isAllowed ? `token=${encodeURIComponent(this.#tokenFor(call, session, socket))}` : 'error=access_denied'
    return redirect(`${loopbackOf(port)}/?${query}`, [], 303)
  }

  #tokenFor(call: PageCall, { person, loginId, loggedInMs, atProvider }: Session, socket: HeldSocket): string {
    const { config, clock } = this.context
    const { authUrl, authHost, sessionMs } = config()
    const now = clock()
    const session: Session = { person, loginId, id: newSessionId(), loggedInMs, seenMs: now, atProvider }
    const claims = {
      iss: authUrl,
      sub: `${person.provider}|${person.subject}`,
      iat: Math.floor(now / 1000),
      exp: Math.floor((loggedInMs + sessionMs) / 1000),
      user_email: nameOf(session),
      socket_dns: socket.host,
      socket_port: socket.port,
      org_id: socket.accountId,
    }
    return mintHolderToken(this.parts.seal, authHost, { session, scope: scopeOf(call, socket) }, claims)
  }

  /** The thing that somebody asks for and who they are, or the answer where that is not what it has to be. */
  #read(
    call: PageCall,
    parameters: ReadonlyMap<string, string>,
  ): { readonly session: Session; readonly socket: HeldSocket; readonly port: number } | { readonly answer: OwnAnswer } {
    const { pages, config } = this.context
    const port = portIn(parameters.get('port'))
    if (port === undefined) return { answer: pages.missing(call, []) }
    if (config().socketProviders.length === 0) {
      const refusal = { code: 'VISITOR_LOGIN_MISSING', reason: 'there is no provider for sockets' } as const
      return { answer: { ...pages.refused(call, refusal.code), refusal } }
    }
    const session = this.#sessionOf(call)
    if (session === undefined) return { answer: redirect(this.#loginUrl(call, port, false), [], 303) }
    const host = hostIn(call.path)
    const socket = this.parts.sockets.find(host)
    // Whether there is no such socket or somebody may not have it makes no difference to them.
    const reason = socket === undefined ? 'no such socket' : whyNotHeld(this.parts.ruleOf(socket.access), session)
    if (socket !== undefined && reason === undefined) return { session, socket, port }
    const answer = pages.denied(call, { who: nameOf(session), host, switchUrl: this.#loginUrl(call, port, true) })
    return { answer: { ...answer, refusal: { code: 'VISITOR_FORBIDDEN', reason: reason ?? '' } } }
  }

  /** The newest login of the browser here, by somebody who vouches for visitors of sockets. */
  #sessionOf({ request }: PageCall): Session | undefined {
    const { sessions, config } = this.context
    const { authHost: host, socketProviders } = config()
    const at = { request, host, scheme: authScheme(config()) }
    const known = socketProviders.map(name => sessions.find(at, atAuthHost(name))?.session)
    return known.reduce((newest, each) => ((each?.loggedInMs ?? 0) > (newest?.loggedInMs ?? 0) ? each : newest), undefined)
  }

  /** Where somebody logs in and comes back. @param isFresh  ask who it is, even if that is known */
  #loginUrl({ path: page }: PageCall, port: number, isFresh: boolean): string {
    const { tickets, config } = this.context
    const { authHost: host, authUrl: origin, socketProviders: providers } = config()
    const wish = tickets.sealWish({ host, origin, path: `${page}?port=${port}`, providers, browser: '', sessionMs: null, isFresh }, host)
    return `${origin}/login?wish=${encodeURIComponent(wish)}`
  }
}

const nameOf = ({ person }: Session): string => person.email ?? person.name ?? person.subject

/** The host of a path, in lower case: what stands before its last part. */
export const hostIn = (path: string): string => (path.split('/').at(-2) ?? '').slice(0, 253).toLowerCase()

const scopeOf = ({ path }: PageCall, { name, accountId }: HeldSocket): HolderScope =>
  path.startsWith('/api/') ? { kind: 'account', id: accountId } : { kind: 'socket', name }

function portIn(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0
  return port >= 1 && port <= MAX_PORT ? port : undefined
}
