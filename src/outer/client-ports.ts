import type { CertificateStore } from '../tls/certificate-store.ts'
import type { ChallengeAnswers } from '../tls/challenge-answers.ts'
import type { ConnectionLimits } from './access/connection-limits.ts'
import type { EdgeContext } from './http-edge/edge-context.ts'
import { BEGIN_TURN_MS, ClientTurns } from '../net/client-turns.ts'
import type { SocketBook } from '../net/socket-book.ts'
import { Http2Edge } from './http-edge/http2-edge.ts'
import { HttpEdge } from './http-edge/http1-edge.ts'
import { PlainEdge } from './ports/plain-port.ts'
import type { ProxiedClients } from './ports/proxied-clients.ts'
import { RedirectEdge } from './http-edge/redirect-edge.ts'
import { replayAtEdge, type EdgeReplay, type EdgeReplayResult } from './exchange/replay.ts'
import { CertificateRules } from '../route/certificate-rule.ts'
import { TlsEdge, type PassedNames } from './ports/tls-port.ts'
import type { WatchedPort } from './book-watch.ts'

/** The names of HTTP/1 in ALPN (RFC 7301 §6): a client that offers 1.0 alone is answered, too. */
const HTTP1_PROTOCOLS = ['http/1.1', 'http/1.0']

/** Options of the ports of clients. */
export interface ClientPortsOptions {
  /** 0 picks a free one. */
  readonly port: number
  readonly host?: string | undefined
  readonly isTrusted: (address: string) => boolean
  /** Counts the connections of all of them. */
  readonly connections: ConnectionLimits
  /** The time for which idle connections are kept. */
  readonly keepAliveMs?: number | undefined
  /** Started: the port speaks HTTPS. Absent: HTTP. */
  readonly certificates?: CertificateStore | undefined
  /** Answers to authorities that ask whether a name leads here; only with certificates. */
  readonly challenges?: ChallengeAnswers | undefined
  /** Names of the port whose TLS ends elsewhere; only with certificates. */
  readonly passed?: PassedNames | undefined
  /** A second port, which redirects plain HTTP to the first; only with certificates. */
  readonly httpPort?: number | undefined
  /** Its host; default that of the first. */
  readonly httpHost?: string | undefined
  /** HTTP/2 beside HTTP/1.1, by ALPN; only with certificates. Default true. */
  readonly http2?: boolean | undefined
  /** HTTP/2 beside HTTP/1.1 without TLS, by its preface; only without certificates. Default false. */
  readonly h2c?: boolean | undefined
  /** Every connection begins with the header of a proxy. */
  readonly proxied?: Pick<ProxiedClients, 'accept'> | undefined
  /** `max-age` of Strict-Transport-Security, seconds; absent: that field is not sent. */
  readonly hstsSeconds?: number | undefined
}

/** Where clients come in: one port for HTTP, or one for HTTPS and perhaps one that leads there. */
export class ClientPorts {
  readonly #http1: HttpEdge
  readonly #http2: Http2Edge
  readonly #plain: PlainEdge | undefined
  readonly #tls: TlsEdge | undefined
  readonly #redirect: RedirectEdge | undefined
  readonly #book: SocketBook
  #ports = { app: 0, http: 0 }

  constructor(
    options: ClientPortsOptions,
    private readonly context: EdgeContext,
  ) {
    const {
      port,
      host,
      isTrusted,
      connections,
      keepAliveMs,
      certificates,
      challenges,
      passed,
      httpPort,
      httpHost,
      hstsSeconds,
      http2 = true,
      h2c = false,
      proxied,
    } = options
    this.#book = connections.book
    const preamble = proxied === undefined ? undefined : proxied.accept.bind(proxied)
    const needsOwnPort = certificates === undefined && !h2c && proxied === undefined
    const turns = new ClientTurns({ turnMs: BEGIN_TURN_MS })
    const place = { port, ...(host !== undefined && { host }) }
    this.#http1 = new HttpEdge(
      {
        ...place,
        ...(!needsOwnPort && { port: undefined }),
        isTrusted,
        connections,
        turns,
        ...(keepAliveMs !== undefined && { keepAliveMs }),
      },
      context,
    )
    this.#http2 = new Http2Edge(context, { turns, ...(keepAliveMs !== undefined && { idleMs: keepAliveMs }) })
    if (certificates === undefined) {
      if (needsOwnPort) return
      this.#plain = new PlainEdge({
        ...place,
        isTrusted,
        connections,
        preamble,
        detectsHttp2: h2c,
        firstByteMs: context.limits.headerMs,
        lastRequestMs: context.limits.lastRequestMs,
        log: context.log,
        accept: (socket, peer, isHttp2) => (isHttp2 ? this.#http2 : this.#http1).adopt(socket, peer),
      })
      return
    }
    this.#tls = new TlsEdge(
      {
        ...place,
        certificates,
        challenges,
        passed,
        authorities: context.visitors === undefined ? undefined : authoritiesIn(context.table),
        protocols: http2 ? ['h2', ...HTTP1_PROTOCOLS] : HTTP1_PROTOCOLS,
        preamble,
        lastRequestMs: context.limits.lastRequestMs,
        hsts: hstsSeconds === undefined ? undefined : `max-age=${hstsSeconds}`,
        isTrusted,
        connections,
        accept: (socket, protocol, peer) => (protocol === 'h2' ? this.#http2 : this.#http1).adopt(socket, peer),
        refusePlain: socket => this.#http1.refusePlain(socket),
      },
      context.log,
    )
    if (httpPort === undefined) return
    const { limits, nextId, access, log } = context
    const shared = { connections, preamble, challenges, limits, nextId, access, log, httpsPort: () => this.#ports.app }
    this.#redirect = new RedirectEdge({ ...place, ...(httpHost !== undefined && { host: httpHost }), port: httpPort, ...shared })
  }

  /** Those that are open; `http` is the redirecting one, 0 when there is none. */
  get ports(): { readonly app: number; readonly http: number } {
    return this.#ports
  }

  /** The book of all of them; once started. */
  get watched(): WatchedPort {
    const { app, http } = this.#ports
    return {
      name: http === 0 ? `app port ${app}` : `app port ${app} and HTTP port ${http}`,
      book: this.#book,
      count: async () => {
        // node:http counts what its own port has accepted, and nothing that others gave it.
        const counts = [this.#http1, this.#tls, this.#plain, this.#redirect].map(port => port?.countConnections() ?? Promise.resolve(0))
        return (await Promise.all(counts)).reduce<number | undefined>(
          (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
          0,
        )
      },
    }
  }

  /** Requests that are not over. */
  get openExchanges(): number {
    return this.#http1.openExchanges + this.#http2.openExchanges
  }

  /** Sends a request again that was recorded here. */
  replay(request: EdgeReplay): Promise<EdgeReplayResult> {
    return replayAtEdge(this.context, request)
  }

  /** Opens the ports. @throws GatewayError LISTEN_FAILED, with nothing left open */
  async start(): Promise<void> {
    try {
      const plain = await this.#http1.start()
      this.#ports = { app: (await (this.#tls ?? this.#plain)?.start()) ?? plain, http: 0 }
      this.#ports = { ...this.#ports, http: (await this.#redirect?.start()) ?? 0 }
    } catch (error) {
      this.destroy()
      throw error
    }
  }

  /** Takes no new connections; resolves once the requests in flight are over. */
  async close(): Promise<void> {
    // Who is still agreeing on TLS comes to the edges behind it, which therefore close last.
    await Promise.all([this.#redirect?.close(), this.#tls?.close(), this.#plain?.close()])
    await Promise.all([this.#http1.close(), this.#http2.close()])
  }

  /** Cuts everything. */
  destroy(): void {
    this.#redirect?.destroy()
    this.#tls?.destroy()
    this.#plain?.destroy()
    this.#http1.destroy()
    this.#http2.destroy()
  }
}

const authoritiesIn = (table: EdgeContext['table']): CertificateRules['find'] => {
  const rules = new CertificateRules(table)
  return serverName => rules.find(serverName)
}
