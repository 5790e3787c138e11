import type { AcceptedRequest } from '../../http/admission.ts'
import type { Client, Peer, PeerCertificate } from '../../http/client.ts'
import type { ErrorCode } from '../../errors.ts'
import type { RepeatedFields } from '../../http/message.ts'
import type { Access, LaneName, Visitor } from '../../route/access.ts'

/** A request, as far as it matters who sends it. */
export interface VisitorRequest {
  readonly request: AcceptedRequest
  readonly client: Client
  readonly peer: Peer
  /** The host that the request is for, as `parseHost` gives it: what decides on its target. */
  readonly host: string
  /** The path that the policy sees; of a page of the gateway, the raw one. */
  readonly path: string
  /** As sent, with its `?`; empty when there is none. */
  readonly query: string
}

/** A request for a target with `access`. */
export interface AccessRequestOfVisitor extends VisitorRequest {
  /** The check may complete it. */
  access: Access
  /** Name of the target or route, as the file has it. */
  readonly target: string
}

/** An answer that needs no inner layer. */
export interface VisitorAnswer {
  readonly status: number
  /** For `writeHead`, flat, with Content-Length where a body may follow. */
  readonly fields: string[]
  readonly body: string | Buffer
}

/** Somebody is let in. */
export interface Admittance {
  readonly kind: 'admit'
  /** Undefined: nobody asked, since the path is public. */
  readonly visitor: Visitor | undefined
  /** For the origin, names and values in turn: who it is. */
  readonly fields: readonly string[]
  /** The same as heads have them, once somebody has made them. */
  repeated?: RepeatedFields | undefined
  /** A cookie that the answer brings, as Set-Cookie has it. */
  readonly cookie: string | undefined
  /** The value of Authorization was meant for the gateway. */
  readonly dropsAuthorization: boolean
  /** The query for the origin, without what was meant for the gateway; undefined: as it came. */
  readonly query: string | undefined
  /**
   * Tells when what let the visitor in is over: what is open by then ends. Undefined: it never is.
   * @param ended  called once, with the reason for the log
   * @returns to be called when the request is over
   */
  readonly follow: ((ended: (reason: string) => void) => () => void) | undefined
}

/** Somebody is not let in, or has to go elsewhere first. */
export interface VisitorRefusal {
  readonly kind: 'answer'
  readonly answer: VisitorAnswer
  /** For the log; undefined: it is no refusal, but the way to a login. */
  readonly code: ErrorCode | undefined
  readonly reason: string | undefined
  readonly visitor: Visitor | undefined
}

/** The verdict about one request. */
export type VisitorDecision = Admittance | VisitorRefusal

/** The answer of a page of the gateway, and what the log has to say of it. */
export interface OwnAnswer extends VisitorAnswer {
  readonly refusal?: { readonly code: ErrorCode; readonly reason: string } | undefined
}

/** A page of the gateway itself: what answers once the body of the request has come. */
export interface OwnPage {
  /** Bytes of a body, at most. */
  readonly maxBodyBytes: number
  readonly answer: (body: Buffer) => OwnAnswer | Promise<OwnAnswer>
}

/** The number of verdicts of one kind. */
export interface VisitorCount {
  readonly lane: LaneName | 'none'
  readonly outcome: 'admitted' | 'refused' | 'sent-to-login'
  readonly count: number
}

/** Somebody asks for a connection that is carried as it is, and may have proven who they are in the request for it. */
export interface ConnectionVisit {
  readonly access: Access
  /** HOST:PORT of the tunnel. */
  readonly name: string
  readonly client: Pick<Client, 'address' | 'host' | 'scheme'>
  /** Of the request, names and values in turn. */
  readonly fields: readonly string[]
  readonly peer: Peer
}

/** Somebody has shown a certificate at the port of a socket, which an authority of the service has signed. */
export interface HolderVisit {
  readonly access: Access
  /** HOST:PORT of the socket. */
  readonly name: string
  /** Address of the client. */
  readonly address: string
  readonly certificate: PeerCertificate
}

/** Somebody may have the connection. */
export interface ConnectionAdmittance {
  readonly kind: 'admit'
  readonly visitor: Visitor
  /** A JWT that says to the origin who it is. */
  readonly identity: string
  /** As that of a request. */
  readonly follow: Admittance['follow']
}

/** Somebody may not. */
export interface ConnectionRefusal {
  readonly kind: 'refuse'
  readonly code: ErrorCode
  /** For the log. */
  readonly reason: string
  readonly visitor: Visitor | undefined
  /** For the answer, such as Retry-After. */
  readonly fields: readonly string[]
}

/** The verdict about a connection. */
export type ConnectionDecision = ConnectionAdmittance | ConnectionRefusal

/** Proofs of who somebody is that come with the request for a connection. */
export interface ConnectionCheck {
  /** Where programs ask for a login of their user (RFC 8628). */
  readonly deviceUrl: string
  /**
   * @returns undefined where no credential is one of these ways in
   * @throws GatewayError as that of requests
   */
  admit(visit: ConnectionVisit): ConnectionDecision | undefined | Promise<ConnectionDecision | undefined>
  /** The same of a certificate. @throws GatewayError as that of requests */
  admitHolder(visit: HolderVisit): ConnectionDecision
}

/** Logins, tokens and whatever else proves who somebody is. The outer layer asks; it knows nothing of the lanes. */
export interface VisitorCheck {
  /**
   * True for a host that is the gateway's own, as a whole, and for a path of another one that is.
   * @param host    as `parseHost` gives it
   * @param target  of the request: its path, with the query
   */
  owns(host: string, target: string): boolean
  /** The page of the gateway for a path of its own host, or for one below `/.sg/` of a host with logins. Never throws for what a client sends. */
  pageFor(request: VisitorRequest): OwnPage
  /** @throws GatewayError, as does the promise, where there is no verdict: the request is refused with its code */
  admit(request: AccessRequestOfVisitor): VisitorDecision | Promise<VisitorDecision>
  readonly connections: ConnectionCheck
  /** Verdicts so far, for metrics. */
  readonly counts: Iterable<VisitorCount>
}

/** Paths of hosts with logins that are the gateway's own. */
export const OWN_PATHS = '/.sg/'
