import { GatewayError, type ErrorCode } from '../../errors.ts'
import { admitRequest, isAnsweredHere, type AcceptedRequest } from '../../http/admission.ts'
import type { TrustFields } from '../../http/believed-fields.ts'
import type { Client, Peer } from '../../http/client.ts'
import type { Visitor } from '../../route/access.ts'
import type { RepeatedFieldLists } from '../../payload/byte-codec.ts'
import { encodeRequestHead } from '../../payload/head-codec.ts'
import { requestFields, type RequestEdits } from '../../http/request-fields.ts'
import type { ResponseContext } from '../../http/response-fields.ts'
import type { PathPrefixes } from '../../http/rewrite.ts'
import type { Variables } from '../../http/template.ts'
import { decide, locate, slashRedirectOf, withPart, type Located } from '../../route/admit.ts'
import { locationOf, type FixedAnswer, type Redirect } from '../../route/fixed-answer.ts'
import { addressKey } from '../../address/address-key.ts'
import { parseHost } from '../../address/host.ts'
import type { PathMap } from '../../route/path-map.ts'
import { withSecondPaths } from '../../route/second-paths.ts'
import { authorityOf, type TargetTable, type Target } from '../../route/table.ts'
import { DEFAULT_UPGRADES, type Treatment } from '../../route/target.ts'
import { stickyValue, valueOf } from '../inner-layers/balancer.ts'
import type { ListedHead } from '../inner-layers/dispatch.ts'
import type { OriginProfiles } from '../inner-layers/origin-profiles.ts'
import type { RequestSpan } from '../../telemetry/tracing.ts'
import type { EdgeRequest } from './edge-request.ts'
import type { AccessCheck, Login } from '../access/access-check.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import { OWN_PATHS, type Admittance, type OwnPage, type VisitorCheck, type VisitorDecision } from '../access/visitor-check.ts'
import { checkServerName } from './server-name.ts'

/** An answer that needs no inner layer. */
export interface LocalAnswer {
  readonly status: number
  /** For `writeHead`, flat, with Content-Length where a body may follow. */
  readonly fields: string[]
  readonly body: string | Buffer
}

/** Facts of a request as far as they are known, also when it is refused: for its line in the log. */
export interface Seen {
  request: AcceptedRequest | undefined
  client: Client | undefined
  target: Target | undefined
  /** Where the target asks who comes. */
  visitor: Visitor | undefined
  /** Of the trace, when somebody traces. */
  readonly span: RequestSpan | undefined
}

/** An answer that needs no inner layer. */
export interface AnswerPlan {
  readonly kind: 'answer'
  readonly answer: LocalAnswer
  /** For the log, where it is one. */
  readonly refusal?: { readonly code: ErrorCode; readonly reason: string } | undefined
}

/** A page of the gateway itself, which may want the body of the request. */
export interface ServePlan {
  readonly kind: 'serve'
  readonly page: OwnPage
}

/** A stream to an origin. */
export interface ForwardPlan {
  readonly kind: 'forward'
  readonly target: Target
  readonly request: AcceptedRequest
  readonly client: Client
  /** Of the OPEN frame; where it says who comes, what it is made of. */
  readonly payload: Buffer | ListedHead
  /** Number of the origin profile, which the carrier has to know before the stream opens; 0 for none. */
  readonly profile: number
  /** Protocol to switch to, empty for none: the first that the client offers and the target allows. */
  readonly upgrade: string
  /** Bytes of the body; a stream may have more than it says. */
  readonly maxBodyBytes: number
  readonly response: ResponseContext
  /** Where the target asks who comes: what let the request in. */
  readonly admittance: Admittance | undefined
  /** Gives back what the request took of the limits of its target; undefined: nothing. */
  readonly leave: (() => void) | undefined
}

/** The decision about one request: an answer of ours, a page of ours, or a stream to an origin. */
export type Plan = AnswerPlan | ServePlan | ForwardPlan

/** The part of the context that plans depend on. */
export interface PlanContext {
  /** The targets in force now. */
  readonly table: () => TargetTable
  readonly limits: Pick<EdgeLimits, 'rate' | 'bodyBytes'>
  /** The check of addresses, rates and passwords. */
  readonly accessCheck: AccessCheck
  /** The check of who somebody is; undefined: there is none, and targets that ask for it let nobody in. */
  readonly visitors: VisitorCheck | undefined
  readonly clientOf: (peer: Peer, request: AcceptedRequest) => Client
  /** The paths of tunnels, which no target gets. */
  readonly tunnels: { owns(target: string): boolean }
  readonly dispatch: { readonly profiles: Pick<OriginProfiles, 'numberOf'> }
  /** Fields that a trusted peer may send to every target. */
  readonly trustFields: TrustFields | undefined
  /** Fields that say who a visitor is, for all requests of a minute. */
  readonly visitorFields: RepeatedFieldLists
  /** Our name, for loops. */
  readonly pseudonym: string
  readonly removeCsps: boolean
  /** Address for complaints about sockets. */
  readonly abuse?: string | undefined
}

/**
 * Steps 2 to 5 of the path: what is to be done with one request.
 * @param seen  gets what is known, as far as it came
 * @returns a promise when a password has to be verified first
 * @throws GatewayError with the code that the client gets, as does the promise
 */
export function planRequest(context: PlanContext, call: Pick<EdgeRequest, 'peer' | 'request'>, seen: Seen): Plan | Promise<Plan> {
  const { peer } = call
  const request = admitRequest(call.request)
  seen.request = request
  const client = context.clientOf(peer, request)
  seen.client = client
  if (context.limits.rate !== undefined) context.accessCheck.count(client.address)
  if (request.target !== '*' && context.tunnels.owns(request.target))
    throw new GatewayError('UPGRADE_REQUIRED', 'a path of the tunnels, not as a WebSocket over HTTP/1.1 or not in its turn')
  const hostname = request.host === '' ? '' : parseHost(request.host).host
  const { visitors } = context
  if (visitors !== undefined) {
    const page = ownPageOf(context, visitors, { request, client, peer, hostname })
    if (page !== undefined) return { kind: 'serve', page }
  }
  const host = targetOf(context.table(), hostname, request)
  seen.target = host
  host.owner?.checkQuota()
  if (peer.tls !== undefined) checkServerName(peer.tls, request.host, host, context.table())
  // RFC 9110 §9.3.7: `OPTIONS *` asks about the gateway itself, and Max-Forwards 0 ends here.
  if (isAnsweredHere(request)) return answerPlan({ status: 204, fields: ['Allow', ALLOWED], body: '' })
  const located = locate(host, request.target, request)
  const { treatment } = located.target
  seen.target = located.target
  const admitted = { request, client, peer, hostname, located, seen }
  if (treatment === undefined) return decidePlan(context, admitted, undefined)
  const login = context.accessCheck.admit(located.target, treatment, { address: client.address, scheme: client.scheme, request })
  if (login instanceof Promise) return planLater(login, context, admitted, seen)
  return loggedInPlan(context, admitted, login, seen)
}

const ALLOWED = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** A request that may come in. */
interface Admitted {
  readonly request: AcceptedRequest
  readonly client: Client
  readonly peer: Peer
  /** As `parseHost` gives it; empty when there is none. */
  readonly hostname: string
  readonly located: Located
  readonly seen: Seen
}

/** The page of the gateway that the request is for: on its own host, or below a path of a host with logins. */
function ownPageOf(
  { table }: PlanContext,
  visitors: VisitorCheck,
  { request, client, peer, hostname: host }: Omit<Admitted, 'located' | 'seen'>,
): OwnPage | undefined {
  const isOwn = visitors.owns(host, request.target)
  if (!isOwn && !request.target.startsWith(OWN_PATHS)) return undefined
  const target = isOwn ? undefined : table().match(host)
  if (!isOwn && (target === undefined || !hasLogin(target))) return undefined
  if (peer.tls !== undefined) checkServerName(peer.tls, request.host, target, table())
  const mark = request.target.indexOf('?')
  const [path, query] = mark < 0 ? [request.target, ''] : [request.target.slice(0, mark), request.target.slice(mark)]
  return visitors.pageFor({ request, client, peer, host, path, query })
}

/** Do people log in at this host, or below one of its paths? */
const hasLogin = (target: Target): boolean =>
  [target, ...(target.routes?.all ?? [])].some(({ treatment }) => treatment?.access?.login !== undefined)

// Whatever a function binds is made anew in each call of it, so promises are waited for in functions of their own.
const planLater = async (login: Promise<Login>, context: PlanContext, admitted: Admitted, seen: Seen): Promise<Plan> =>
  loggedInPlan(context, admitted, await login, seen)

const visitLater = async (
  decision: Promise<VisitorDecision>,
  context: PlanContext,
  admitted: Admitted,
  { login, seen }: { readonly login: Login | undefined; readonly seen: Seen },
): Promise<Plan> => visitedPlan(context, admitted, login, seen, await decision)

/** Asks who comes, where a target wants to know. */
function loggedInPlan(context: PlanContext, admitted: Admitted, login: Login | undefined, seen: Seen): Plan | Promise<Plan> {
  const { request, client, peer, hostname: host, located } = admitted
  const { path, query, target } = located
  const { name } = target
  const access = target.treatment?.access
  if (access === undefined) return decidePlan(context, admitted, login)
  if (context.visitors === undefined)
    throw new GatewayError('VISITOR_LOGIN_MISSING', `${name} has access, and the outer layer has no --visitors`)
  const decision = context.visitors.admit({ request, client, peer, host, path, query, access, target: name })
  if (decision instanceof Promise) return visitLater(decision, context, admitted, { login, seen })
  return visitedPlan(context, admitted, login, seen, decision)
}

function visitedPlan(context: PlanContext, admitted: Admitted, login: Login | undefined, seen: Seen, decision: VisitorDecision): Plan {
  seen.visitor = decision.visitor
  if (decision.kind === 'answer') {
    const { answer, code, reason = '' } = decision
    return { kind: 'answer', answer, refusal: code === undefined ? undefined : { code, reason } }
  }
  const { query } = decision
  const own = query === undefined ? admitted : { ...admitted, located: { ...admitted.located, query } }
  return decidePlan(context, own, login, decision)
}

function decidePlan(context: PlanContext, admitted: Admitted, login: Login | undefined, admittance?: Admittance): Plan {
  const { request, client, located } = admitted
  if (located.target.treatment?.hasInterstitial === true) {
    const { hostname } = admitted
    const first = context.accessCheck.interstitial.answer({ request, scheme: client.scheme, hostname, abuse: context.abuse })
    if (first !== undefined) return answerPlan(first)
  }
  decide(located, request.method)
  if (located.target.split !== undefined && located.whole === undefined) {
    const part = withPart(located, partOf(located.target, request, client))
    admitted.seen.target = part.target
    return chosenPlan(context, part === located ? admitted : { ...admitted, located: part }, login, admittance)
  }
  return chosenPlan(context, admitted, login, admittance)
}

function chosenPlan(context: PlanContext, admitted: Admitted, login: Login | undefined, admittance?: Admittance): Plan {
  const { request, client, located } = admitted
  const { target, path, query } = located
  const answer = target.treatment?.answer
  if (answer !== undefined) {
    const variables = { scheme: client.scheme, host: client.host, path, query }
    return answerPlan(fixedAnswer(answer, variables, [login?.cookie, admittance?.cookie, partCookie(target, request, client.scheme)]))
  }
  const toSlash = request.upgrades === undefined ? slashRedirectOf(target, request.method, path, query) : undefined
  if (toSlash !== undefined) return answerPlan({ status: 307, fields: ['Location', toSlash, 'Content-Length', '0'], body: '' })
  return forwardPlan(context, admitted, login, admittance)
}

const answerPlan = (answer: LocalAnswer): AnswerPlan => ({ kind: 'answer', answer })

function forwardPlan(context: PlanContext, admitted: Admitted, login: Login | undefined, admittance: Admittance | undefined): ForwardPlan {
  const { request, client, peer, located } = admitted
  const { span } = admitted.seen
  const { target, query, whole = target } = located
  const { treatment, protocol, hostname, port, askedAs } = target
  const maxBodyBytes = target.limits?.bodyBytes ?? context.limits.bodyBytes ?? Infinity
  if (request.body.kind === 'length' && request.body.length > maxBodyBytes)
    throw new GatewayError('BODY_TOO_LARGE', `${request.body.length} bytes are announced, ${maxBodyBytes} are allowed`)
  const pathMap = treatment?.pathMap
  const mapped = pathMap?.map(located.path, query)
  const prefixes = pathMap !== undefined && mapped?.isMapped === true ? prefixesOf(pathMap) : undefined
  const isHostPreserved = askedAs === undefined && treatment?.preserveHost === true && request.host !== ''
  const originHost = isHostPreserved ? request.host : (askedAs?.host ?? authorityOf(target))
  const variables = treatment === undefined ? undefined : { client: client.address, host: client.host, scheme: client.scheme }
  const cookie = target.balance?.kind === 'cookie' ? target.balance.name : undefined
  const upgrade = request.upgrades?.find(name => allowsUpgrade(target, name)) ?? ''
  const profile = context.dispatch.profiles.numberOf(target.profile)
  const fields = requestFields(withSecondPaths(request, { located, publicHosts: [request.host, client.host], originHost }), {
    client,
    isTrustedPeer: peer.isTrusted,
    trustFields: context.trustFields,
    pseudonym: context.pseudonym,
    edits: editsOf(treatment, cookie, variables, prefixes, login?.dropsAuthorization === true || admittance?.dropsAuthorization === true),
    saysVisitor: admittance !== undefined,
  })
  const head = {
    protocol,
    hostname,
    port,
    method: request.method,
    path: mapped === undefined ? located.path + query : mapped.path + mapped.query,
    host: originHost,
    body: request.body,
    expectsContinue: request.expectsContinue,
    upgrade,
    profile,
    // The request is the parent of what the inner layer does.
    fields: span === undefined ? fields : span.inject(fields),
  }
  const isSaid = admittance !== undefined && admittance.fields.length > 0
  const payload = !isSaid ? encodeRequestHead(head) : { head, list: (admittance.repeated ??= context.visitorFields.of(admittance.fields)) }
  const response: ResponseContext = {
    method: request.method,
    canChunk: !request.isHttp10,
    removeCsps: treatment?.removeCsps ?? context.removeCsps,
    names: { private: askedAs ?? target, public: { scheme: client.scheme, host: client.host }, prefixes, isHostPreserved },
    edits: treatment?.responseFields,
    variables,
    cookie: undefined,
    loginCookie: login?.cookie,
    visitorCookie: admittance?.cookie,
    dropsOurCookies: treatment?.hasInterstitial,
  }
  const leave = treatment?.concurrency === undefined ? undefined : context.accessCheck.enter(whole, treatment)
  return { kind: 'forward', target, request, client, payload, profile, upgrade, maxBodyBytes, response, admittance, leave }
}

/** The part of a split that this client has had, or has to have; undefined: any. */
function partOf({ balance, split }: Target, request: AcceptedRequest, client: Client): Target | undefined {
  if (balance === undefined || split === undefined) return undefined
  if (balance.kind === 'address') return split.of(addressKey(client.address))
  const value = valueOf(request, balance)
  if (value === undefined) return undefined
  return balance.kind === 'header' ? split.of(value) : split.named(value.slice(value.indexOf('.') + 1))
}

const stickyCookie = (name: string, value: string, scheme: string): string =>
  `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${scheme === 'https' ? '; Secure' : ''}`

/** For an answer of a part without an origin; undefined: the client has it already, or needs none. */
function partCookie({ balance }: Target, request: AcceptedRequest, scheme: string): string | undefined {
  if (balance?.kind !== 'cookie' || balance.part === undefined) return undefined
  const value = stickyValue(balance, '')
  return valueOf(request, balance) === value ? undefined : stickyCookie(balance.name, value, scheme)
}

/** Has the client come back to where the value says; undefined: it knows, or it does not matter. */
export function stickTo({ target, response }: ForwardPlan, value: string | undefined): void {
  if (target.balance?.kind !== 'cookie') return
  response.cookie = value === undefined ? undefined : stickyCookie(target.balance.name, value, response.names.public.scheme)
}

/** For the way back; undefined when there is none. */
const prefixesOf = ({ publicPrefix, originPrefix }: PathMap): PathPrefixes | undefined =>
  originPrefix === undefined ? undefined : { public: publicPrefix, private: originPrefix }

/** The changes to the fields of a request; undefined: none, which is a copy less. */
function editsOf(
  treatment: Treatment | undefined,
  cookie: string | undefined,
  variables: Variables = {},
  prefixes: PathPrefixes | undefined,
  dropsAuthorization: boolean,
): RequestEdits | undefined {
  const { requestFields: fields, trustFields, addsVia } = treatment ?? {}
  const prefix = prefixes?.private === '' ? prefixes.public : ''
  const isNone = fields === undefined && trustFields === undefined && addsVia === undefined && cookie === undefined
  if (isNone && !dropsAuthorization && prefix === '') return undefined
  return { fields, variables, dropsAuthorization, cookie, prefix, trustFields, addsVia }
}

/** The answer that the target gives instead of any origin. */
function fixedAnswer(answer: FixedAnswer | Redirect, variables: Variables, cookies: readonly (string | undefined)[]): LocalAnswer {
  const login = cookies.flatMap(cookie => (cookie === undefined ? [] : ['Set-Cookie', cookie]))
  if (answer.kind === 'respond') return { status: answer.status, fields: [...answer.fields, ...login], body: answer.body }
  return { status: answer.status, fields: ['Location', locationOf(answer, variables), 'Content-Length', '0', ...login], body: '' }
}

/** h2c is never switched to: it would be a second protocol on the way that no rule has looked at (RFC 9113 §3.1 has given it up). */
const NEVER = new Set(['h2c', 'h2'])

/** True when a request for `target` may switch to `protocol`. */
export function allowsUpgrade({ upgrades = DEFAULT_UPGRADES }: Pick<Target, 'upgrades'>, protocol: string): boolean {
  const name = protocol.toLowerCase().replace(/\/.*/, '') // RFC 9110 §7.8: name[/version]
  return upgrades.includes(name) && !NEVER.has(name)
}

function targetOf(table: TargetTable, host: string, request: AcceptedRequest): Target {
  const target = table.match(host)
  if (target !== undefined) return target
  if (table.blindName?.(host) !== undefined)
    throw new GatewayError('MISDIRECTED', `TLS of ${host} ends at an inner layer, and this connection's TLS ended here`)
  if (table.isOfSockets?.(host) === true) throw new GatewayError('NO_SOCKET', `no socket has the name ${request.host}`)
  throw new GatewayError(
    'UNKNOWN_HOST',
    request.host === '' ? 'no target for a request without a host' : `no target for host ${request.host}, which the Host header names`,
  )
}
