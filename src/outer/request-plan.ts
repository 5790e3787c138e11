import { GatewayError } from '../errors.ts'
import { admitRequest, isAnsweredHere, type AcceptedRequest } from '../http/admission.ts'
import type { ClientFacts } from '../http/client-facts.ts'
import { encodeRequestHead } from '../http/head-codec.ts'
import { requestFields } from '../http/request-fields.ts'
import type { ResponseContext } from '../http/response-fields.ts'
import { admit } from '../route/admit.ts'
import { parseHost } from '../route/host.ts'
import { authorityOf, type Target } from '../route/table.ts'
import type { ClientCall } from './client-call.ts'
import type { EdgeContext } from './edge-context.ts'

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
  client: ClientFacts | undefined
  target: Target | undefined
  /** Protocol to switch to, empty for none: the first that the client offers and the target allows. */
  upgrade = ''
  /** Of the OPEN frame. */
  payload: Buffer | undefined
  /** Number of the origin profile, which the session has to know before the stream opens; 0 for none. */
  profile = 0
  response: ResponseContext | undefined
  /** Instead of a stream. */
  answer: LocalAnswer | undefined

  /** @throws GatewayError with the code that the client gets */
  make(edge: EdgeContext, { peer, request: raw }: Pick<ClientCall, 'peer' | 'request'>): void {
    const request = admitRequest(raw)
    this.request = request
    const client = edge.clientOf(peer, request)
    this.client = client
    const target = targetOf(edge, request)
    this.target = target
    if (isAnsweredHere(request)) {
      // RFC 9110 §9.3.7: `OPTIONS *` asks about the gateway itself, and Max-Forwards 0 ends here.
      this.answer = { status: 204, fields: ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'], body: '' }
      return
    }
    const { path, query } = admit(target, request.method, request.target)
    const { protocol, hostname, port } = target
    this.upgrade = request.upgrades?.find(protocol => allowsUpgrade(target, protocol)) ?? ''
    this.profile = edge.profiles.numberOf(target.profile)
    this.payload = encodeRequestHead({
      protocol,
      hostname,
      port,
      method: request.method,
      path: path + query,
      host: authorityOf(target),
      body: request.body,
      expectsContinue: request.expectsContinue,
      upgrade: this.upgrade,
      profile: this.profile,
      fields: requestFields(request, { client, isTrustedPeer: peer.isTrusted, pseudonym: edge.pseudonym }),
    })
    this.response = {
      method: request.method,
      canChunk: !request.isHttp10,
      removeCsps: edge.removeCsps,
      names: { private: target, public: { scheme: client.scheme, host: client.host } },
    }
  }
}

/** h2c is never switched to: it would be a second protocol on the way that no rule has looked at (RFC 9113 §3.1 has given it up). */
const NEVER = new Set(['h2c', 'h2'])
const DEFAULT_UPGRADES = ['websocket']

/** True when a request for `target` may switch to `protocol`. */
export function allowsUpgrade({ upgrades = DEFAULT_UPGRADES }: Pick<Target, 'upgrades'>, protocol: string): boolean {
  const name = protocol.toLowerCase()
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
