import { GatewayError } from '../../errors.ts'
import type { PeerCertificate } from '../../http/client.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import type { Visitor } from '../../route/access.ts'
import { certificateVisitor, hasName } from '../../route/certificate-visitor.ts'
import type { Lane, LaneOffer, Verdict } from '../lane.ts'
import type { SessionWatch } from '../session/session-watch.ts'

/** The parts of the lane. */
export interface CertificateLaneParts {
  readonly watch: SessionWatch
  /** ms since 1970 */
  readonly clock: () => number
}

/** Client certificates in TLS, verified by the authorities of the host while the connection was made. */
export class CertificateLane implements Lane {
  readonly name = 'certificate'
  readonly #visitors = new WeakMap<PeerCertificate, Visitor>()

  constructor(private readonly parts: CertificateLaneParts) {}

  judge({ access, peer, host }: AccessRequestOfVisitor): Verdict | undefined {
    const { certificates: rule } = access
    const { tls } = peer
    if (rule === undefined || tls?.serverName === undefined) return undefined
    const { asked, client } = tls
    // A tunnel has no host: it comes by a name of the gateway, and by another one that asks for nothing.
    if (rule.hosts !== undefined && !rule.hosts.includes(tls.serverName)) return undefined
    if (rule.hosts === undefined && tls.serverName !== host) {
      // Behind a proxy of ours, TLS is that of the proxy, which has no certificate of a visitor.
      if (peer.isTrusted) return undefined
      throw new GatewayError('MISDIRECTED', 'the connection is for another host, and this one may ask for a certificate')
    }
    // The rule has changed since; a new connection is asked by the new one.
    if (asked === undefined || asked.ca !== rule.ca || asked.crl !== rule.crl) {
      if (client === undefined) return undefined
      throw new GatewayError('MISDIRECTED', 'the certificate was verified by other authorities than those of this target')
    }
    if (client === undefined) return undefined
    const visitor = this.#visitorOf(client)
    const reason = client.fault ?? this.#whyOver(client)
    if (reason !== undefined) return { kind: 'refuse', code: 'VISITOR_CREDENTIALS', reason: `the certificate: ${reason}` }
    if (!hasName(rule.names, client))
      return { kind: 'refuse', code: 'VISITOR_FORBIDDEN', reason: 'no name of the certificate is one of those', visitor }
    return { kind: 'admit', visitor, follow: ended => this.parts.watch.watch(() => this.#whyOver(client), ended) }
  }

  offer({ access }: Pick<AccessRequestOfVisitor, 'access'>): LaneOffer | undefined {
    if (access.certificates === undefined) return undefined
    return { lane: 'certificate', challenge: undefined, how: 'a client certificate in TLS, by an authority of this host' }
  }

  #whyOver({ notAfterMs }: PeerCertificate): string | undefined {
    return this.parts.clock() < notAfterMs ? undefined : 'it has expired'
  }

  /** The same for each connection. */
  #visitorOf(client: PeerCertificate): Visitor {
    const known = this.#visitors.get(client)
    if (known !== undefined) return known
    const visitor = certificateVisitor(client)
    this.#visitors.set(client, visitor)
    return visitor
  }
}
