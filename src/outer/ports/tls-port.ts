import { createServer as createListener, type Server as Listener, type Socket } from 'node:net'
import { createServer, type Server, type TlsOptions, type TLSSocket } from 'node:tls'
import { addressKey } from '../../address/address-key.ts'
import { unmapped } from '../../address/mapped.ts'
import type { Peer } from '../../http/client.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { createChallengeServer, isChallenge, type ChallengeAnswers } from '../../tls/challenge-answers.ts'
import { clientCertificateOf, visitorTlsOptions, type ClientAuthorities } from '../../tls/client-certificate.ts'
import { followCertificates, tlsOptions } from '../../tls/server.ts'
import { helloReader, type FirstMessage } from '../../tls/first-message.ts'
import { HandshakeTurns } from '../../tls/handshake-turns.ts'
import { HANDSHAKE_MS } from '../../tls/settings.ts'
import type { ConnectionLimits } from '../access/connection-limits.ts'
import { VisitorServers } from './visitor-servers.ts'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { listen } from '../../net/listen.ts'
import { countConnections } from '../../net/socket-book.ts'
import { untilEmpty } from '../../net/until-empty.ts'

/** Options of a TLS edge. */
export interface TlsEdgeOptions {
  readonly port: number
  readonly host?: string
  /** Started. */
  readonly certificates: CertificateStore
  /** Protocols by ALPN, the preferred one first. */
  readonly protocols: readonly string[]
  /** Value of Strict-Transport-Security for every answer. */
  readonly hsts?: string | undefined
  readonly isTrusted: (address: string) => boolean
  /** Time that is left for connections that are not handed over once the port is closed, milliseconds. */
  readonly lastRequestMs: number
  /** Counts the connections of all edges. */
  readonly connections: ConnectionLimits
  /** The authorities by which visitors of a host are verified, undefined for none; absent: no host asks for certificates. */
  readonly authorities?: ((serverName: string) => ClientAuthorities | undefined) | undefined
  /** Answers to authorities that ask by TLS whether a name leads here; absent: none asks. */
  readonly challenges?: ChallengeAnswers | undefined
  /** Takes connections whose TLS is not ended here, by the name in their first message. */
  readonly passed?: PassedNames | undefined
  /** Reads what comes before TLS, the header of a proxy, then calls `next` with who the client is. */
  readonly preamble?: ((socket: Socket, next: (address: string) => void) => void) | undefined
  /** A connection is ready. `protocol` is what ALPN has agreed on, or undefined. */
  readonly accept: (socket: TLSSocket, protocol: string | undefined, peer: Peer) => void
  /** A client speaks HTTP without TLS: its request is still to be read, and gets a plain answer. */
  readonly refusePlain: (socket: Socket) => void
}

/** Names whose connections others take. */
export interface PassedNames {
  /** Is there any? */
  readonly isNeeded: boolean
  /** @param socket  paused @param address  of the client @returns false: it is not taken */
  take(socket: Socket, message: FirstMessage, address: string): boolean
}

/** First byte of a TLS connection: the type of its first record (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16
/** Methods of HTTP begin with a letter. */
const isLetter = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)

/**
 * The port of clients with TLS: takes connections, looks at the first byte, ends TLS, and hands over by what ALPN says. The requests on them
 * are the business of whoever `accept` hands them to.
 */
export class TlsEdge {
  readonly #listener: Listener
  readonly #server: Server
  readonly #visitors: VisitorServers | undefined
  readonly #challenges: Server | undefined
  readonly #unfollow: () => void
  readonly #turns = new HandshakeTurns()
  /** Connections that are not handed over yet, by their other end: all that the socket of TLS has in common with the one below. */
  readonly #beginning = new Map<string, { readonly socket: Socket; address: string }>()

  constructor(
    private readonly options: TlsEdgeOptions,
    private readonly log: Log,
  ) {
    const { certificates, protocols } = options
    // Half-open as node:http wants it: it knows by itself when a client that ends its half has left.
    const ways = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }
    this.#listener = createListener({ ...ways }, socket => attempt(this.#failOf(socket), () => this.#connected(socket)))
    const create = (settings: TlsOptions, asked?: ClientAuthorities): Server => {
      const server = createServer({ ...settings, ...ways, ALPNProtocols: [...protocols] })
      server.on('secureConnection', (socket: TLSSocket) => attempt(this.#failOf(socket), () => this.#secured(socket, asked)))
      server.on('tlsClientError', (error, socket) => attempt(this.#failOf(socket), () => this.#refused(error, socket)))
      return server
    }
    this.#server = create(tlsOptions(certificates))
    this.#challenges = options.challenges === undefined ? undefined : createChallengeServer(options.challenges)
    const unfollow = followCertificates(this.#server, certificates)
    if (options.authorities === undefined) this.#unfollow = unfollow
    else {
      const visitors = new VisitorServers(options.authorities, asked => create(visitorTlsOptions(certificates, asked), asked))
      const unsubscribe = certificates.subscribe(() => visitors.forget())
      this.#visitors = visitors
      this.#unfollow = () => {
        unfollow()
        unsubscribe()
      }
    }
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    return listen(this.#listener, this.options.port, this.options.host)
  }

  /** Connections of the port that Node.js has, those that were handed over included. */
  countConnections(): Promise<number | undefined> {
    return countConnections(this.#listener)
  }

  /** Takes no new connections; resolves when those that are there are handed over, or their time is over. Idempotent. */
  async close(): Promise<void> {
    this.#listener.close()
    await untilEmpty(() => this.#beginning.size, this.options.lastRequestMs)
    this.destroy()
  }

  /** Takes no new connections and ends those that are not handed over yet. Idempotent. */
  destroy(): void {
    this.#unfollow()
    this.#listener.close()
    for (const { socket } of this.#beginning.values()) socket.destroy()
  }

  #failOf(socket: Socket): Fail {
    return thrown => {
      socket.destroy()
      this.log.error({ err: thrown }, 'internal fault while taking a connection')
    }
  }

  #refused(error: Error, socket: TLSSocket): void {
    this.log.debug({ address: unmapped(socket.remoteAddress ?? ''), reason: error.message }, 'TLS handshake failed')
    socket.destroy()
  }

  #connected(socket: Socket): void {
    const { preamble, connections } = this.options
    connections.meet(socket)
    const key = keyOf(socket)
    const beginning = { socket, address: unmapped(socket.remoteAddress ?? '') }
    this.#beginning.set(key, beginning)
    socket.once('close', () => this.#beginning.delete(key))
    const begin = (address: string): void => {
      // The client counts, not the proxy before it.
      if (connections.admit(socket, address) !== undefined) return void socket.destroy()
      beginning.address = address
      this.#readFirst(socket)
    }
    if (preamble === undefined) begin(beginning.address)
    else preamble(socket, guarded(this.#failOf(socket), begin))
  }

  /** Reads the first byte: a client that speaks plain HTTP is to be told so; TLS could only hang up on it. */
  #readFirst(socket: Socket): void {
    const leave = (): void => void socket.destroy()
    const timer = setTimeout(leave, HANDSHAKE_MS)
    timer.unref()
    socket.on('error', leave)
    socket.once('end', leave)
    socket.once('close', () => clearTimeout(timer))
    const goOn = (bytes: Buffer): void => {
      clearTimeout(timer)
      socket.off('end', leave)
      socket.pause()
      socket.unshift(bytes)
    }
    const begin = (server: Server, bytes: Buffer): void => {
      goOn(bytes)
      // Until TLS is agreed on, a client that ends its half has left; node:tls would wait for it until its time is over.
      socket.allowHalfOpen = false
      const shake = guarded(this.#failOf(socket), () => {
        if (!socket.destroyed) server.emit('connection', socket)
      })
      this.#turns.take(addressKey(this.#beginning.get(keyOf(socket))?.address ?? ''), shake, leave)
    }
    const read = (chunk: Buffer): void => {
      const first = chunk[0] ?? 0
      if (first === TLS_HANDSHAKE) {
        const { challenges, passed } = this.options
        const isPassing = passed?.isNeeded === true
        if (this.#visitors === undefined && challenges?.isAskedByTls !== true && !isPassing) return begin(this.#server, chunk)
        return this.#readHello(socket, chunk, message => {
          if (isPassing && this.#isTaken(passed, socket, message, leave)) clearTimeout(timer)
          else begin(this.#serverFor(message), message.bytes)
        })
      }
      goOn(chunk)
      this.#beginning.delete(keyOf(socket))
      if (isLetter(first)) this.options.refusePlain(socket)
      else socket.destroy()
    }
    socket.once('data', guarded(this.#failOf(socket), read))
  }

  /** Hands the connection over if somebody takes it. @param leave  what ends it here */
  #isTaken(passed: PassedNames, socket: Socket, message: FirstMessage, leave: () => void): boolean {
    const key = keyOf(socket)
    socket.pause()
    if (!passed.take(socket, message, this.#beginning.get(key)?.address ?? '')) return false
    for (const event of ['end', 'error']) socket.off(event, leave)
    this.#beginning.delete(key)
    return true
  }

  /** An authority gets the answer to its question; of hosts, some ask for a certificate. */
  #serverFor({ name, alpn }: FirstMessage): Server {
    if (this.#challenges !== undefined && isChallenge(alpn)) return this.#challenges
    return this.#visitors?.serverFor(name) ?? this.#server
  }

  /** Reads the whole first message, which has the name and the protocols. */
  #readHello(socket: Socket, first: Buffer, next: (message: FirstMessage) => void): void {
    const add = helloReader()
    const read = guarded(this.#failOf(socket), (chunk: Buffer) => {
      const hello = add(chunk)
      if (hello === undefined) return
      socket.off('data', read)
      next(hello)
    })
    socket.on('data', read)
    read(first)
  }

  #secured(socket: TLSSocket, asked?: ClientAuthorities): void {
    socket.allowHalfOpen = true
    const key = keyOf(socket)
    const address = this.#beginning.get(key)?.address ?? unmapped(socket.remoteAddress ?? '')
    this.#beginning.delete(key)
    const { certificates, hsts, isTrusted } = this.options
    // `false` for none, in contrast to its type.
    const serverName = (socket as { servername?: string | false | null }).servername || undefined
    const { covers } = certificates.match(serverName)
    this.options.accept(socket, socket.alpnProtocol || undefined, {
      address,
      isTrusted: isTrusted(address),
      scheme: 'https',
      localPort: socket.localPort ?? 0,
      tls: {
        serverName: serverName?.toLowerCase(),
        covers,
        hsts,
        ...(asked !== undefined && { asked, client: clientCertificateOf(socket) }),
      },
    })
  }
}

const keyOf = ({ remoteAddress = '', remotePort = 0 }: Socket): string => `${remoteAddress} ${remotePort}`
