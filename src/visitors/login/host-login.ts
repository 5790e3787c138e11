import { randomBytes } from 'node:crypto'
import type { AccessRequestOfVisitor, OwnAnswer, VisitorAnswer, VisitorRequest } from '../../outer/access/visitor-check.ts'
import { visitorName } from '../../route/access.ts'
import type { Rejection } from '../lane.ts'
import type { Page, PageCall } from '../page.ts'
import type { PeopleAnswers } from '../people.ts'
import { readSession } from '../session/session.ts'
import { cookieValues, isSafe, setCookie } from '../session/session-cookie.ts'
import { AT_TARGETS } from '../session/sessions.ts'
import type { LoginContext } from './login-context.ts'
import { redirect } from './redirect.ts'
import { browserHash, LOGIN_MS, type Wish } from './tickets.ts'

/** The state that a browser keeps while it is on the way, so that what comes back can be told from what somebody else has begun. */
const BROWSER = 'browser'
/** The cookie of a login that has just come back: without the cookie of a session beside it, cookies do not hold, and another login would not either. */
export const DONE = 'done'
const DONE_S = 10
/** The cookie of somebody who has logged out: the next login asks who it is, even if the auth host knows. */
export const LEFT = 'left'
/** Longer ones are not come back to: what is sealed has to fit into a cookie. */
const MAX_PATH = 1_000
const BROWSER_FORM = /^[\w-]{22}$/

/** The part of a login that is on the host which wants it: the way out, and the way back. */
export class HostLogin implements PeopleAnswers {
  constructor(private readonly context: LoginContext) {}

  get pages(): readonly Page[] {
    return [
      { place: 'target', path: '/.sg/session', method: 'GET', answer: call => this.#comeBack(call) },
      { place: 'target', path: '/.sg/login', method: 'GET', answer: call => this.#switch(call) },
    ]
  }

  toLogin(request: AccessRequestOfVisitor): VisitorAnswer {
    const { login, sessionMs } = request.access
    const { scheme } = request.client
    const isOver = cookieValues(request.request, DONE, scheme).length > 0 && !this.#isKnown(request)
    if (isOver && !this.#hasKept(request)) return this.context.pages.failed(request, 'cookies', { again: switchUrlOf(request) })
    // A session that has ended moments after its login: somebody is asked, so that nobody is sent round where the next one ends as well.
    const isFresh = isOver || cookieValues(request.request, LEFT, scheme).length > 0
    return this.#send(request, { path: request.request.target, providers: login?.providers, sessionMs, isFresh })
  }

  refused(request: AccessRequestOfVisitor, { code, visitor, fields }: Rejection): VisitorAnswer {
    const switchUrl = switchUrlOf(request)
    if (code === 'VISITOR_FORBIDDEN' && visitor !== undefined)
      return this.context.pages.denied(request, { who: visitorName(visitor), host: request.client.host, switchUrl })
    return this.context.pages.refused(request, code, request.access.login === undefined ? undefined : switchUrl, fields)
  }

  /** Somebody wants to be somebody else, or tries once more. */
  #switch(call: PageCall): OwnAnswer {
    // Anybody can write such a link: all of it is a wish, and the target judges who comes.
    const providers = call.parameters.get('at')?.split(',').slice(0, 20)
    const sessionMs = Number(call.parameters.get('for') ?? NaN)
    const path = call.parameters.get('to') ?? '/'
    return this.#send(call, { path, providers, sessionMs: sessionMs > 0 ? sessionMs : undefined, isFresh: true })
  }

  #send(
    request: VisitorRequest,
    {
      path,
      providers,
      sessionMs,
      isFresh,
    }: Pick<Wish, 'path' | 'isFresh'> & { readonly providers: readonly string[] | undefined; readonly sessionMs: number | undefined },
  ): VisitorAnswer {
    if (!isSafe(request.client.scheme, request.host)) return this.context.pages.insecure(request)
    const { tickets, config } = this.context
    const { authHost, authUrl } = config()
    const { scheme } = request.client
    const known = cookieValues(request.request, BROWSER, scheme).find(value => BROWSER_FORM.test(value))
    const browser = known ?? randomBytes(16).toString('base64url')
    const wish: Omit<Wish, 'atMs'> = {
      host: request.host,
      // The Host field decides on the target; what a proxy says of the host may come from anybody.
      origin: `${scheme}://${request.request.host}`,
      path: path.startsWith('/') && path.length <= MAX_PATH ? path : '/',
      providers: providers ?? null,
      browser: browserHash(browser),
      sessionMs: sessionMs ?? null,
      isFresh,
    }
    const url = `${authUrl}/login?wish=${encodeURIComponent(tickets.sealWish(wish, authHost))}`
    return redirect(url, [setCookie(BROWSER, scheme, browser, LOGIN_MS / 1000)])
  }

  /** The auth host has sent the browser back, with a code that says who it is. */
  async #comeBack(call: PageCall): Promise<OwnAnswer> {
    const { tickets, sessions } = this.context
    const { scheme } = call.client
    const browsers = cookieValues(call.request, BROWSER, scheme)
    if (browsers.length === 0) return this.#failed(call, 'cookies', 'the browser has kept no cookie of this host')
    const opened = browsers.map(browser => tickets.openCode(call.parameters.get('code'), call.host, browserHash(browser)))
    const code = (await Promise.all(opened)).find(each => each !== undefined)
    const session = code === undefined ? undefined : readSession(code.session)
    if (code === undefined || session === undefined)
      return this.#failed(call, 'failed', 'a code that is too late, used, or of another browser or host')
    if (sessions.whyEnded(session, code.sessionMs ?? undefined) !== undefined) return this.#failed(call, 'failed', 'a session that is over')
    return redirect(
      `${scheme}://${call.request.host}${code.path}`,
      [
        sessions.issue(session, call.host, scheme, AT_TARGETS, code.sessionMs ?? undefined),
        setCookie(DONE, scheme, '1', DONE_S),
        setCookie(LEFT, scheme, '', 0),
      ],
      303,
    )
  }

  /** Has the browser a session here, by whomever? */
  #isKnown({ request, host, client }: VisitorRequest): boolean {
    return this.context.sessions.find({ request, host, scheme: client.scheme }, AT_TARGETS) !== undefined
  }

  /** Has the browser kept the cookie of a session here, be that over or not? */
  #hasKept({ request, host, client }: VisitorRequest): boolean {
    return this.context.sessions.isKept({ request, host, scheme: client.scheme }, AT_TARGETS)
  }

  #failed(call: PageCall, failure: 'failed' | 'cookies', reason: string): OwnAnswer {
    const { pages, onEvent } = this.context
    onEvent({ kind: 'login-failed', provider: '-', reason, address: call.client.address })
    return { ...pages.failed(call, failure, { again: '/.sg/login' }), refusal: { code: 'VISITOR_LOGIN_FAILED', reason } }
  }
}

function switchUrlOf({ request, access }: AccessRequestOfVisitor): string {
  const { login, sessionMs } = access
  const at = login?.providers === undefined ? '' : `&at=${login.providers.join(',')}`
  const lasts = sessionMs === undefined ? '' : `&for=${sessionMs}`
  return `/.sg/login?to=${encodeURIComponent(request.target.slice(0, MAX_PATH))}${at}${lasts}`
}
