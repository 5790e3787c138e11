import { GatewayError } from '../../errors.ts'
import { admitRequest, isAnsweredHere, type AcceptedRequest } from '../../http/admission.ts'
import type { Client } from '../../http/client.ts'
import { encodeRequestHead } from '../../payload/head-codec.ts'
import { requestFields, type RequestEdits } from '../../http/request-fields.ts'
import type { ResponseContext } from '../../http/response-fields.ts'
import type { PathPrefixes } from '../../http/rewrite.ts'
import type { Variables } from '../../http/template.ts'
import { decide, locate, slashRedirectOf, type Located } from '../../route/admit.ts'
import { locationOf, type FixedAnswer, type Redirect } from '../../route/fixed-answer.ts'
import { parseHost } from '../../address/host.ts'
import type { PathMap } from '../../route/path-map.ts'
import { withSecondPaths } from '../../route/second-paths.ts'
import { authorityOf, type Target } from '../../route/table.ts'
import { DEFAULT_UPGRADES, type Treatment } from '../../route/target.ts'
import type { StreamRequest } from '../inner-layers/dispatch.ts'
import type { RequestSpan } from '../../telemetry/tracing.ts'
import type { EdgeRequest } from './edge-request.ts'
import type { EdgeContext } from './exchange-context.ts'
import type { AccessCheck, Login } from '../access/access-check.ts'
import { spanOf } from './request-span.ts'
import { checkServerName } from './server-name.ts'

/** An answer that needs no inner layer. */
export interface LocalAnswer {
  readonly status: number
  /** For `writeHead`, flat, with Content-Length where a body may follow. */
  readonly fields: string[]
  readonly body: string
}

/** Steps 2 to 5 of the path: what is to be done with one request. The facts are there as far as `make` came before it threw. */
export class RequestPlan {
  request: AcceptedRequest | undefined
  client: Client | undefined
  target: Target | undefined
  /** Protocol to switch to, empty for none: the first that the client offers and the target allows. */
  upgrade = ''
  /** Bytes of the body; a stream may have more than it says. */
  maxBodyBytes = Infinity
  /** Of the OPEN frame. */
  payload: Buffer | undefined
  /** Number of the origin profile, which the session has to know before the stream opens; 0 for none. */
  profile = 0
  response: ResponseContext | undefined
  /** Instead of a stream. */
  answer: LocalAnswer | undefined
  /** What has to be found out first; nothing else is there before. */
  pending: Promise<void> | undefined
  /** Of the trace, when somebody traces. */
  span: RequestSpan | undefined
  #entered: AccessCheck | undefined

  /** @throws GatewayError with the code that the client gets */
  make(edge: EdgeContext, { peer, request: raw }: Pick<EdgeRequest, 'peer' | 'request'>): void {
    if (edge.tracing !== undefined) this.span = edge.tracing.start(spanOf(raw))
    const request = admitRequest(raw)
    this.request = request
    const client = edge.clientOf(peer, request)
    this.client = client
    if (edge.limits.rate !== undefined) edge.accessCheck.count(client.address)
    if (request.target !== '*' && edge.tunnels.owns(request.target))
      throw new GatewayError('UPGRADE_REQUIRED', 'a path of the tunnels, not as a WebSocket over HTTP/1.1 or not in its turn')
    const host = targetOf(edge, request)
    this.target = host
    if (peer.tls !== undefined) checkServerName(peer.tls, request.host, host, edge.table())
    if (isAnsweredHere(request)) {
      // RFC 9110 §9.3.7: `OPTIONS *` asks about the gateway itself, and Max-Forwards 0 ends here.
      this.answer = { status: 204, fields: ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'], body: '' }
      return
    }
    const located = locate(host, request.target)
    const { target } = located
    this.target = target
    if (target.treatment !== undefined) {
      const login = edge.accessCheck.admit(target, target.treatment, { address: client.address, scheme: client.scheme, request })
      if (login instanceof Promise) this.pending = login.then(known => this.#decide(edge, peer, located, known))
      else this.#decide(edge, peer, located, login)
    } else this.#decide(edge, peer, located, undefined)
  }

  /** What is to be opened, once the request was admitted. */
  get streamRequest(): StreamRequest {
    return this as StreamRequest
  }

  /** The client is to come back to this inner layer; undefined: it knows, or it does not matter. */
  stick(id: string | undefined): void {
    const { target, response, client } = this
    if (response === undefined || target?.balance?.kind !== 'cookie') return
    const attributes = `Path=/; HttpOnly; SameSite=Lax${client?.scheme === 'https' ? '; Secure' : ''}`
    response.cookie = id === undefined ? undefined : `${target.balance.name}=${id}; ${attributes}`
  }

  /** This request as the parent of what the inner layer does. */
  #traced(fields: string[]): string[] {
    return this.span === undefined ? fields : this.span.inject(fields)
  }

  /** The request is over; what it took is free again. */
  release(): void {
    this.#entered?.leave(this.target!.treatment!)
    this.#entered = undefined
  }

  #decide(edge: EdgeContext, peer: EdgeRequest['peer'], located: Located, login: Login | undefined): void {
    const { target, query } = located
    const { treatment } = target
    const request = this.request!
    const client = this.client!
    decide(located, request.method)
    if (treatment?.answer !== undefined) {
      this.answer = fixedAnswer(treatment.answer, { scheme: client.scheme, host: client.host, path: located.path, query })
      if (login?.cookie !== undefined) this.answer.fields.push('Set-Cookie', login.cookie)
      return
    }
    const toSlash = request.upgrades === undefined ? slashRedirectOf(target, request.method, located.path, query) : undefined
    if (toSlash !== undefined) {
      this.answer = { status: 307, fields: ['Location', toSlash, 'Content-Length', '0'], body: '' }
      return
    }
    const { protocol, hostname, port } = target
    this.maxBodyBytes = target.limits?.bodyBytes ?? edge.limits.bodyBytes ?? Infinity
    if (request.body.kind === 'length' && request.body.length > this.maxBodyBytes)
      throw new GatewayError('BODY_TOO_LARGE', `${request.body.length} bytes are announced, ${this.maxBodyBytes} are allowed`)
    const mapped = treatment?.pathMap?.map(located.path, query)
    const prefixes = mapped?.isMapped === true ? prefixesOf(treatment!.pathMap!) : undefined
    const isHostPreserved = treatment?.preserveHost === true && request.host !== ''
    const originHost = isHostPreserved ? request.host : authorityOf(target)
    const variables = treatment === undefined ? undefined : { client: client.address, host: client.host, scheme: client.scheme }
    const cookie = target.balance?.kind === 'cookie' ? target.balance.name : undefined
    this.upgrade = request.upgrades?.find(protocol => allowsUpgrade(target, protocol)) ?? ''
    this.profile = edge.dispatch.profiles.numberOf(target.profile)
    this.payload = encodeRequestHead({
      protocol,
      hostname,
      port,
      method: request.method,
      path: mapped === undefined ? located.path + query : mapped.path + mapped.query,
      host: originHost,
      body: request.body,
      expectsContinue: request.expectsContinue,
      upgrade: this.upgrade,
      profile: this.profile,
      fields: this.#traced(
        requestFields(withSecondPaths(request, { located, publicHosts: [request.host, client.host], originHost }), {
          client,
          isTrustedPeer: peer.isTrusted,
          trustFields: edge.trustFields,
          pseudonym: edge.pseudonym,
          edits:
            treatment === undefined && cookie === undefined
              ? undefined
              : editsOf(treatment, cookie, variables, prefixes, login?.dropsAuthorization === true),
        }),
      ),
    })
    this.response = {
      method: request.method,
      canChunk: !request.isHttp10,
      removeCsps: treatment?.removeCsps ?? edge.removeCsps,
      names: { private: target, public: { scheme: client.scheme, host: client.host }, prefixes, isHostPreserved },
      edits: treatment?.responseFields,
      variables,
      cookie: undefined,
      loginCookie: login?.cookie,
    }
    if (treatment?.concurrency !== undefined) {
      edge.accessCheck.enter(target, treatment)
      this.#entered = edge.accessCheck
    }
  }
}

/** For the way back; undefined when there is none. */
const prefixesOf = ({ publicPrefix, originPrefix }: PathMap): PathPrefixes | undefined =>
  originPrefix === undefined ? undefined : { public: publicPrefix, private: originPrefix }

function editsOf(
  treatment: Treatment | undefined,
  cookie: string | undefined,
  variables: Variables = {},
  prefixes: PathPrefixes | undefined,
  dropsAuthorization: boolean,
): RequestEdits {
  return {
    fields: treatment?.requestFields,
    variables,
    dropsAuthorization,
    cookie,
    prefix: prefixes?.private === '' ? prefixes.public : '',
    trustFields: treatment?.trustFields,
    addsVia: treatment?.addsVia,
  }
}

/** What the target says instead of any origin. */
function fixedAnswer(answer: FixedAnswer | Redirect, variables: Variables): LocalAnswer {
  if (answer.kind === 'respond') return { status: answer.status, fields: [...answer.fields], body: answer.body }
  return { status: answer.status, fields: ['Location', locationOf(answer, variables), 'Content-Length', '0'], body: '' }
}

/** h2c is never switched to: it would be a second protocol on the way that no rule has looked at (RFC 9113 §3.1 has given it up). */
const NEVER = new Set(['h2c', 'h2'])

/** True when a request for `target` may switch to `protocol`. */
export function allowsUpgrade({ upgrades = DEFAULT_UPGRADES }: Pick<Target, 'upgrades'>, protocol: string): boolean {
  const name = protocol.toLowerCase().replace(/\/.*/, '') // RFC 9110 §7.8: name[/version]
  return upgrades.includes(name) && !NEVER.has(name)
}

function targetOf(edge: EdgeContext, request: AcceptedRequest): Target {
  const table = edge.table()
  const target = request.host === '' ? table.match('') : table.match(parseHost(request.host).host)
  if (target !== undefined) return target
  throw new GatewayError(
    'UNKNOWN_HOST',
    request.host === '' ? 'no target for a request without a host' : `no target for host ${request.host}, which the Host header names`,
  )
}
