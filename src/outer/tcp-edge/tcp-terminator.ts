import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { addressKey } from '../../address/address-key.ts'
import { asGatewayError, GatewayError, messageOf } from '../../errors.ts'
import { visitorName, type Visitor } from '../../route/access.ts'
import { certificateVisitor, hasName } from '../../route/certificate-visitor.ts'
import type { PortVisitors, TcpPort } from '../../route/tcp-port.ts'
import { createChallengeServer, isChallenge, type ChallengeAnswers } from '../../tls/challenge-answers.ts'
import { clientCertificateOf, visitorTlsOptions } from '../../tls/client-certificate.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { HandshakeTurns } from '../../tls/handshake-turns.ts'
import { followCertificates, tlsOptions } from '../../tls/server.ts'
import { attempt, guarded } from '../../net/guard.ts'
import type { ProxiedConnection } from '../../net/write-proxy-header.ts'
import type { TcpConnection } from './tcp-connection.ts'
import { canonicalName, firstMessage, unknown } from './tcp-hello.ts'

/** Makes a store, not started, for ports that demand client certificates of `clientCa` that are on no list of `clientCrl`; undefined when the gateway has no certificates. */
export type CreateCertificates = (clientCa: string | undefined, clientCrl: string | undefined) => CertificateStore | undefined

/** A handshake under way. */
interface Pending {
  readonly connection: TcpConnection
  readonly port: TcpPort
}

/** Ends TLS, for all ports that ask for the same client certificates. */
export class TcpTerminator {
  readonly #server: Server
  readonly #unfollow: () => void
  readonly #turns = new HandshakeTurns()
  /** Handshakes under way, by the client's end of the connection: node:tls does not say which socket it was given. */
  readonly #pending = new Map<string, Pending>()
  /** For authorities that ask whether a name leads here. */
  readonly #challengeServer: Server | undefined

  /**
   * @param store        started; closed with this
   * @param authorities  PEM of those that certify people for sockets of the service; undefined: these are none
   * @param challenges   undefined: no certificate is ordered
   */
  constructor(
    private readonly store: CertificateStore,
    private readonly authorities?: string,
    private readonly challenges?: ChallengeAnswers,
  ) {
    if (challenges !== undefined) this.#challengeServer = createChallengeServer(challenges)
    // Refused here with its reason; node:tls would just hang up.
    const options = (): TlsOptions =>
      authorities === undefined
        ? { ...tlsOptions(store), rejectUnauthorized: false }
        : visitorTlsOptions(store, { ca: authorities, crl: undefined })
    this.#server = createServer(options())
    this.#unfollow =
      authorities === undefined ? followCertificates(this.#server, store) : store.subscribe(() => this.#server.setSecureContext(options()))
    this.#server.on('secureConnection', (socket: TLSSocket) =>
      this.#attempt(socket, pending => {
        if (pending.connection.isOver) socket.destroy()
        else this.#secured(socket, pending)
      }),
    )
    this.#server.on('tlsClientError', (error, socket) =>
      this.#attempt(socket, ({ connection }) => connection.abort('CLIENT_TLS', messageOf(error))),
    )
  }

  /** Files of authorities that cannot be used as they are now: the last good ones are in force. */
  get clientFaults(): readonly GatewayError[] {
    return this.store.clientFaults
  }

  /** Begins with TLS on a socket that was just accepted, then joins the connection to the route of the name that the client sent. */
  accept(connection: TcpConnection, socket: Socket, port: TcpPort): void {
    afterPreamble(connection, socket, () => {
      const challengeServer = this.#challengeServer
      if (challengeServer === undefined || this.challenges?.isAskedByTls !== true) return this.#shake(connection, socket, port)
      firstMessage(connection, socket, ({ bytes, alpn }) => {
        // Whoever ends TLS reads it again.
        socket.unshift(bytes)
        if (!isChallenge(alpn)) return this.#shake(connection, socket, port)
        this.#begin(connection, socket, challengeServer)
      })
    })
  }

  #shake(connection: TcpConnection, socket: Socket, port: TcpPort): void {
    const key = keyOf(socket)
    this.#pending.set(key, { connection, port })
    socket.once('close', () => this.#pending.delete(key))
    this.#begin(connection, socket, this.#server)
  }

  #begin(connection: TcpConnection, socket: Socket, server: Server): void {
    // Until TLS is agreed on, a client that ends its half has left; node:tls would wait for it until its time is over.
    socket.allowHalfOpen = false
    const shake = guarded(connection.fail, () => void server.emit('connection', socket))
    const refuse = (): void => connection.abort('CLIENT_TLS', 'too many TLS handshakes wait')
    this.#turns.take(addressKey(socket.remoteAddress ?? ''), () => connection.isOver || shake(), refuse)
  }

  /** Handshakes are over; connections go on. */
  async close(): Promise<void> {
    this.#unfollow()
    await this.store.close()
  }

  /** Does it with the handshake that was under way on the socket; a throw ends that connection. */
  #attempt(socket: TLSSocket, action: (pending: Pending) => void): void {
    const pending = this.#take(socket)
    if (pending === undefined) socket.destroy()
    else attempt(pending.connection.fail, () => action(pending))
  }

  #take(socket: Socket): Pending | undefined {
    const key = keyOf(socket)
    const pending = this.#pending.get(key)
    this.#pending.delete(key)
    return pending
  }

  #secured(socket: TLSSocket, { connection, port }: Pending): void {
    socket.allowHalfOpen = true
    const { visitors } = port.options
    if (visitors !== undefined) return this.#held(socket, { connection, port }, visitors)
    const wantsCertificate = this.store.clientCa !== undefined
    if (wantsCertificate && !socket.authorized) {
      connection.countVisitor('refused')
      return connection.abort('CLIENT_TLS', `the client certificate: ${String(socket.authorizationError ?? 'there is none')}`)
    }
    const client = wantsCertificate ? clientCertificateOf(socket) : undefined
    const visitor = client && certificateVisitor(client)
    if (client !== undefined) {
      const isNamed = hasName(port.options.clientNames, client)
      connection.countVisitor(isNamed ? 'admitted' : 'refused')
      if (!isNamed)
        return connection.abort('VISITOR_FORBIDDEN', `no name of the certificate of ${visitorName(visitor!)} is one of clientNames`)
    }
    if (!this.#join(socket, { connection, port }, visitor)) return
    if (client !== undefined) connection.endAt(client.notAfterMs, 'the client certificate has expired')
  }

  /** Somebody who may come to a socket of the service by the certificate that they got when they had logged in. */
  #held(socket: TLSSocket, pending: Pending, { access, name, authorities }: PortVisitors): void {
    const { connection } = pending
    // The list was made for the port since: by then other authorities may count.
    const certificate = this.authorities === authorities ? clientCertificateOf(socket) : undefined
    if (certificate === undefined) return connection.abort('VISITOR_REQUIRED', 'the client has shown no certificate of a login')
    const decision = connection.judge({ access, name, certificate })
    if (decision === undefined) return
    if (this.#join(socket, pending, decision.visitor)) connection.follow(decision.follow)
  }

  /** @returns false where it cannot be joined */
  #join(socket: TLSSocket, { connection, port }: Pending, visitor: Visitor | undefined): boolean {
    // RFC 8446 §4.6.1: resumed sessions bring their name, too; `false` is none.
    const { servername } = socket as TLSSocket & { readonly servername?: string | false }
    const sent = typeof servername === 'string' && servername !== '' ? servername : undefined
    connection.name = sent
    const name = canonicalName(sent)
    const route = port.routeOf(name)
    if (route === undefined) {
      connection.abort('UNKNOWN_HOST', unknown(sent))
      return false
    }
    socket.pause()
    connection.join({ route, inside: socket, facts: factsOf(socket, name, visitor !== undefined), visitor })
    return true
  }
}

const keyOf = ({ remoteAddress, remotePort, localPort }: Socket): string => `${remoteAddress ?? ''} ${remotePort ?? 0} ${localPort ?? 0}`

function factsOf(
  socket: TLSSocket,
  authority: string | undefined,
  isVerified: boolean,
): Pick<ProxiedConnection, 'authority' | 'alpn' | 'tls'> {
  const version = socket.getProtocol() ?? ''
  const commonName: unknown = isVerified ? socket.getPeerCertificate().subject.CN : undefined
  const clientName = typeof commonName === 'string' ? commonName : ''
  return {
    authority,
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    tls: { version, cipher: socket.getCipher().name, ...(isVerified && { clientName }) },
  }
}

// --- what is said before TLS ---

const PREAMBLE_BYTES = 8
const SSL_REQUEST = Buffer.from('0000000804d2162f', 'hex')
const GSS_REQUEST = Buffer.from('0000000804d21630', 'hex')

/**
 * Calls `then` when TLS may begin. Clients of PostgreSQL ask for TLS in the clear first (an SSLRequest, "S" is yes); no ClientHello begins
 * with these bytes, so every port understands them. https://www.postgresql.org/docs/15/protocol-flow.html
 */
function afterPreamble(connection: TcpConnection, socket: Socket, then: () => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const leave = guarded(connection.fail, () => connection.left())
  const read = guarded(connection.fail, (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    if (bytes[0] === 0 && bytes.length < PREAMBLE_BYTES) return
    socket.off('data', read)
    socket.off('end', leave)
    socket.pause()
    const isSsl = bytes.equals(SSL_REQUEST)
    // Only as a message of its own: what came behind it in the clear must not count as sent inside (CVE-2021-23214).
    if (isSsl || bytes.equals(GSS_REQUEST)) {
      socket.write(isSsl ? 'S' : 'N')
      return afterPreamble(connection, socket, then)
    }
    if (bytes[0] === 0) return connection.abort('CLIENT_TLS', 'this is neither TLS nor a request for it')
    socket.unshift(bytes)
    then()
  })
  socket.on('data', read)
  socket.on('end', leave)
  socket.resume()
}

/** The terminators of the ports in force: one for each set of authorities of clients, and one without. */
export class TcpTerminators {
  #terminators = new Map<string, TcpTerminator>()

  /** @param challenges  answers to authorities; undefined: no certificate is ordered */
  constructor(
    private readonly create: CreateCertificates,
    private readonly challenges?: ChallengeAnswers,
  ) {}

  /**
   * Reads what `ports` need, and lets go of what they no longer do.
   * @throws GatewayError of the first that fails; the others are ready
   */
  async prepare(ports: readonly TcpPort[]): Promise<void> {
    const wanted = new Map(ports.filter(({ options }) => options.tls === 'terminate').map(port => [authorityKeyOf(port), port]))
    for (const [ca, terminator] of this.#terminators) {
      if (wanted.has(ca)) continue
      this.#terminators.delete(ca)
      void terminator.close()
    }
    let failure: GatewayError | undefined
    for (const [ca, port] of wanted) {
      if (this.#terminators.has(ca)) continue
      try {
        this.#terminators.set(ca, await this.#start(port))
      } catch (error) {
        failure ??= asGatewayError(error)
      }
    }
    if (failure !== undefined) throw failure
  }

  /** Files of authorities of clients that cannot be used as they are now. Of the server's own certificates the app port tells. */
  get clientFaults(): readonly string[] {
    const faults = [...this.#terminators.values()].flatMap(terminator => terminator.clientFaults)
    return [...new Set(faults.map(({ message }) => message))]
  }

  /** Has everything that the port needs been read? */
  isReady(port: TcpPort): boolean {
    return port.options.tls !== 'terminate' || this.#terminators.has(authorityKeyOf(port))
  }

  /** The terminator of a port that is ready and ends TLS. */
  of(port: TcpPort): TcpTerminator {
    return this.#terminators.get(authorityKeyOf(port))!
  }

  async close(): Promise<void> {
    await Promise.all([...this.#terminators.values()].map(terminator => terminator.close()))
    this.#terminators.clear()
  }

  async #start({ options }: TcpPort): Promise<TcpTerminator> {
    const store = this.create(options.clientCa, options.clientCrl)
    if (store === undefined) {
      throw new GatewayError(
        'CONFIG_INVALID',
        `port ${options.port} ends TLS and there is no certificate; give one with --tls-certificate and --tls-key`,
      )
    }
    await store.start()
    return new TcpTerminator(store, options.visitors?.authorities, this.challenges)
  }
}

/** By whom client certificates have to be signed: ports of one kind share what ends their TLS. */
export const authorityKeyOf = ({ options: { visitors, clientCa, clientCrl } }: TcpPort): string =>
  visitors === undefined ? JSON.stringify([clientCa, clientCrl]) : `people ${visitors.authorities}`
