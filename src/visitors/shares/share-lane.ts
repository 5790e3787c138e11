import type { AccessRequestOfVisitor, VisitorAnswer } from '../../outer/access/visitor-check.ts'
import { Recent } from '../../rates/recent.ts'
import { emailKey, type LoginRule, type Visitor } from '../../route/access.ts'
import type { Failures } from '../failures.ts'
import { fieldOf } from '../fields.ts'
import type { Lane, Rejection, Verdict } from '../lane.ts'
import { isNavigation } from '../navigation.ts'
import { whyCrossSite } from '../session/cross-site.ts'
import type { Session } from '../session/session.ts'
import type { Seal } from '../session/seal.ts'
import { cookieValues, setCookie } from '../session/session-cookie.ts'
import { AT_TARGETS, type Sessions } from '../session/sessions.ts'
import type { SessionWatch } from '../session/session-watch.ts'
import {
  isOfSocket,
  openShare,
  sealShare,
  SHARE_FIELD,
  SHARE_PARAMETER,
  shareOfSocket,
  whyNotFor,
  type Share,
  type StoredShare,
} from './share.ts'
import type { ShareUses } from './share-uses.ts'

/** Of the cookie that somebody gets who has opened a link; it holds shares with dots between them. */
const COOKIE = 'share'
/** Shares of one host in one browser. */
const MAX_SHARES = 4
const SEPARATOR = '~'
const MAX_COOKIE = 3_600
const MAX_KNOWN = 10_000
const KNOWN_MS = 600_000
const NO_LOGIN: Pick<LoginRule, 'origins'> = Object.freeze({ origins: new Set<string>() })

/** The parts of the lane. */
export interface ShareLaneParts {
  readonly seal: Seal
  readonly sessions: Sessions
  readonly watch: SessionWatch
  readonly failures: Failures
  /** Told of each that lets somebody in. */
  readonly onUse?: ((visitor: Visitor, target: string, address: string, ofSocket?: SharedSocket) => void) | undefined
  readonly uses: ShareUses
  /** ms since 1970 */
  readonly clock: () => number
  /** ms, rising */
  readonly steady: () => number
}

/** The socket whose owner has made a share. */
export interface SharedSocket {
  readonly socketId: string
  /** May it be used so often and no more? */
  readonly isLimited: boolean
  readonly by: 'browser' | 'program'
}

/** A share as a request brings it. */
interface Brought {
  readonly text: string
  /** The query without it; undefined: it came in a field. */
  readonly query: string | undefined
}

/** Share links, made by whoever runs the gateway, or by the owner of a socket, at every target that asks who comes. */
export class ShareLane implements Lane {
  readonly name = 'share'
  readonly #visitors: Recent<Visitor>
  #revoked: ReadonlySet<string> = new Set()

  constructor(private readonly parts: ShareLaneParts) {
    this.#visitors = new Recent(MAX_KNOWN, KNOWN_MS, parts.steady)
  }

  /** Puts in force which shares were revoked; what is open by them ends. */
  set(shares: readonly StoredShare[]): void {
    this.#revoked = new Set(shares.filter(({ isRevoked }) => isRevoked).map(({ id }) => id))
    this.parts.watch.look()
  }

  judge(request: AccessRequestOfVisitor): Verdict | undefined | Promise<Verdict | undefined> {
    const brought = broughtBy(request)
    return brought === undefined ? this.#judgeCookie(request) : this.#judgeLink(request, brought)
  }

  /** Nothing is offered to whoever has no link: it is made by people, for people. */
  offer(): undefined {
    return undefined
  }

  #judgeLink(request: AccessRequestOfVisitor, { text, query }: Brought): Verdict | undefined | Promise<Verdict | undefined> {
    const { seal, failures } = this.parts
    const { ofSocket } = request.access
    const share = (ofSocket && shareOfSocket(ofSocket.shares, text)) ?? openShare(seal, request.host, text)
    if (share === undefined) return { ...failures.refuse(request.client.address, 'a share link that is none of this host'), query }
    const refuse = (code: Rejection['code'], reason: string): Rejection => ({
      kind: 'refuse',
      code,
      reason: `${reason} (share ${share.id})`,
      query,
    })
    const over = this.#whyOver(share, request)
    if (over !== undefined) return refuse('VISITOR_SHARE_OVER', over)
    const forbidden = whyNotFor(share, request.request.method, request.path)
    if (forbidden !== undefined) return refuse('VISITOR_FORBIDDEN', forbidden)
    const who = this.#personOf(share, request)
    // To the login, where there is one.
    if (who === 'nobody') return undefined
    if (who === 'another') return refuse('VISITOR_FORBIDDEN', 'the link is for somebody else')
    const isPerson = query !== undefined && isNavigation(request.request)
    // Who opens it again has come in already.
    if (isPerson && this.#sharesIn(request).some(({ id }) => id === share.id)) return this.#enter(request, share, query)
    return this.parts.uses.take(share).then(isLeft => {
      if (!isLeft) return refuse('VISITOR_SHARE_OVER', 'the link was used as often as it may')
      const shared = ofSocket &&
        isOfSocket(share) && {
          socketId: ofSocket.socketId,
          isLimited: share.maxUses !== undefined,
          by: query === undefined ? ('program' as const) : ('browser' as const),
        }
      this.parts.onUse?.(this.#visitorOf(share, request), request.target, request.client.address, shared || undefined)
      return isPerson ? this.#enter(request, share, query) : { ...this.#admit(request, share), query }
    })
  }

  #judgeCookie(request: AccessRequestOfVisitor): Verdict | undefined {
    for (const share of this.#sharesIn(request)) {
      if (this.#whyOver(share, request) !== undefined || whyNotFor(share, request.request.method, request.path) !== undefined) continue
      if (this.#personOf(share, request) !== 'there') continue
      const crossing = whyCrossSite(request.request, request.client, request.access.login ?? NO_LOGIN)
      if (crossing !== undefined) return { kind: 'refuse', code: 'VISITOR_CROSS_SITE', reason: crossing }
      return this.#admit(request, share)
    }
    return undefined
  }

  #admit(request: AccessRequestOfVisitor, share: Share): Extract<Verdict, { kind: 'admit' }> {
    const { sessions, watch } = this.parts
    const session = share.email === undefined ? undefined : this.#sessionOf(request)
    const over = (): string | undefined => this.#whyOver(share, request) ?? (session && sessions.whyEnded(session))
    return { kind: 'admit', visitor: this.#visitorOf(share, request), follow: ended => watch.watch(over, ended) }
  }

  /** A person has opened the link: they get a cookie, and go to the page without the link in its address. */
  #enter(request: AccessRequestOfVisitor, share: Share, query: string): Verdict {
    const { client, host, path } = request
    const shares = [share, ...this.#sharesIn(request).filter(({ id }) => id !== share.id)].slice(0, MAX_SHARES)
    const lastsMs = Math.max(...shares.map(({ expiresMs }) => expiresMs)) - this.parts.clock()
    const value = fitting(shares.map(each => sealShare(this.parts.seal, host, each)))
    // The Host field decides on the target; what a proxy says of the host may come from anybody.
    const answer = seeOther(
      `${client.scheme}://${request.request.host}${path}${query}`,
      setCookie(COOKIE, client.scheme, value, Math.ceil(lastsMs / 1000)),
    )
    return { kind: 'answer', answer, visitor: this.#visitorOf(share, request) }
  }

  /** Those that the browser has, and that are not over. */
  #sharesIn({ request, client, host, access }: AccessRequestOfVisitor): readonly Share[] {
    if (!request.names.includes('cookie')) return []
    const [value = ''] = cookieValues(request, COOKIE, client.scheme)
    if (value === '') return []
    return value
      .split(SEPARATOR, MAX_SHARES)
      .map(text => openShare(this.parts.seal, host, text))
      .filter(share => share !== undefined && this.#whyOver(share, { access }) === undefined) as readonly Share[]
  }

  #whyOver(share: Share, { access: { ofSocket } }: Pick<AccessRequestOfVisitor, 'access'>): string | undefined {
    const { id, expiresMs } = share
    const isGone = isOfSocket(share) && ofSocket?.shares.some(each => each.id === id) !== true
    if (isGone || this.#revoked.has(id)) return 'the link was revoked'
    return this.parts.clock() >= expiresMs ? 'the link has expired' : undefined
  }

  /** Is the person there whom a share is for? */
  #personOf({ email }: Share, request: AccessRequestOfVisitor): 'there' | 'nobody' | 'another' {
    if (email === undefined) return 'there'
    const session = this.#sessionOf(request)
    if (session === undefined) return 'nobody'
    const own = session.person.email
    return own !== undefined && emailKey(own) === email ? 'there' : 'another'
  }

  #sessionOf({ request, host, client }: AccessRequestOfVisitor): Session | undefined {
    return this.parts.sessions.find({ request, host, scheme: client.scheme }, AT_TARGETS)?.session
  }

  /** The same for each share, so that what the origin is told is made once. */
  #visitorOf({ id, email }: Share, { host }: AccessRequestOfVisitor): Visitor {
    const key = `${host} ${id}`
    const known = this.#visitors.get(key)
    if (known !== undefined) return known
    const visitor: Visitor = Object.freeze({
      lane: 'share',
      email,
      name: email === undefined ? `share ${id}` : undefined,
      groups: [],
      claims: new Map<string, readonly string[]>(),
      subject: id,
      provider: 'share',
      sessionId: undefined,
    })
    this.#visitors.set(key, visitor)
    return visitor
  }
}

/** The link that a request brings in its query or its field; one that comes twice is none that opens. */
function broughtBy({ request, query }: AccessRequestOfVisitor): Brought | undefined {
  if (query.includes(SHARE_PARAMETER)) {
    const pairs = query.slice(1).split('&')
    const own = pairs.filter(pair => pair.startsWith(`${SHARE_PARAMETER}=`))
    const rest = pairs.filter(pair => !pair.startsWith(`${SHARE_PARAMETER}=`)).join('&')
    if (own.length > 0)
      return { text: own.length === 1 ? own[0]!.slice(SHARE_PARAMETER.length + 1) : '', query: rest === '' ? '' : `?${rest}` }
  }
  if (!request.names.includes(SHARE_FIELD)) return undefined
  return { text: fieldOf(request, SHARE_FIELD) ?? '', query: undefined }
}

/** Browsers keep no cookie of more than 4096 characters; the newest shares come first. */
function fitting(sealed: readonly string[]): string {
  let value = sealed[0]!
  for (const each of sealed.slice(1)) if (value.length + each.length < MAX_COOKIE) value += SEPARATOR + each
  return value
}

const seeOther = (url: string, cookie: string): VisitorAnswer => ({
  status: 303,
  fields: [
    ...['Location', url.replace(/[^\x21-\x7e]/g, character => Buffer.from(character, 'latin1').toString('hex').replace(/../g, '%$&'))],
    ...['Content-Length', '0', 'Cache-Control', 'no-store', 'Referrer-Policy', 'no-referrer', 'Set-Cookie', cookie],
  ],
  body: '',
})
