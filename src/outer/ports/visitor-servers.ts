import type { Server } from 'node:tls'
import type { ClientAuthorities } from '../../tls/client-certificate.ts'

/** Sets of authorities that are in use at a time; of more, the oldest are made again when they are wanted. */
const MAX_SERVERS = 64

/** TLS servers that ask for certificates, one for each set of authorities: what one of them has let in was verified by its own. */
export class VisitorServers {
  readonly #servers = new Map<string, Server>()

  /**
   * @param find    the authorities of a host; undefined: it asks for no certificates
   * @param create  a server for these
   */
  constructor(
    private readonly find: (serverName: string) => ClientAuthorities | undefined,
    private readonly create: (authorities: ClientAuthorities) => Server,
  ) {}

  /** The server for a host; undefined where no certificate is asked for. */
  serverFor(serverName: string | undefined): Server | undefined {
    const authorities = serverName === undefined ? undefined : this.find(serverName)
    if (authorities === undefined) return undefined
    const { ca, crl } = authorities
    const key = JSON.stringify([ca, crl])
    const known = this.#servers.get(key)
    if (known !== undefined) return known
    const [oldest] = this.#servers.keys()
    if (oldest !== undefined && this.#servers.size >= MAX_SERVERS) this.#servers.delete(oldest)
    const server = this.create({ ca, crl })
    this.#servers.set(key, server)
    return server
  }

  /** Other server certificates are in force: servers are made anew. */
  forget(): void {
    this.#servers.clear()
  }
}
