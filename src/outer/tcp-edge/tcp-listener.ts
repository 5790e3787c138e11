import { createServer, type Server, type Socket } from 'node:net'
import type { ErrorCode } from '../../errors.ts'
import { addressKey } from '../../address/address-key.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import { attempt, guarded } from '../../net/guard.ts'
import { listen } from '../../net/listen.ts'
import { countConnections, SocketBook } from '../../net/socket-book.ts'
import type { SharedCounts, Tally } from '../../rates/shared-counts.ts'
import { TcpConnection, type TcpContext } from './tcp-connection.ts'
import { joinByName } from './tcp-hello.ts'
import type { TcpTerminator } from './tcp-terminator.ts'

/** The context that all listeners share. */
export interface TcpListenerContext extends TcpContext {
  /** A number of its own for every connection. */
  readonly nextNumber: () => number
  /** Ends TLS for ports that say so; its certificates are in force. */
  readonly terminatorOf: (port: TcpPort) => TcpTerminator
  /** Is this the address of a proxy of ours, behind which many clients share one address? */
  readonly isTrusted: (address: string) => boolean
  /** Counts of other processes with the same ports; undefined: this one is alone. */
  readonly shared?: SharedCounts | undefined
  /** Hosts that stand for ports which are open already, by the port, until they are taken; undefined: there are none. */
  readonly inherited?: Map<number, string> | undefined
  readonly onOpen: (connection: TcpConnection) => void
  readonly onOver: (connection: TcpConnection) => void
}

/** One public port: refuses who may not connect, counts, and hands the rest on. */
export class TcpListener {
  /** Every connection of the port. */
  readonly book = new SocketBook()
  readonly #server: Server
  #port: TcpPort
  #connections = 0
  /** Connections by address, IPv6 by /64. */
  readonly #addresses = new Map<string, number>()
  readonly #tally: Tally | undefined
  readonly #ofAddresses: Tally | undefined

  constructor(
    port: TcpPort,
    private readonly context: TcpListenerContext,
  ) {
    this.#port = port
    const { port: number } = port.options
    this.#tally = context.shared?.tally(`connections of port ${number}`)
    this.#ofAddresses = context.shared?.tally(`connections of an address at port ${number}`)
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, this.#accepted)
  }

  /** The configuration of the port, for connections from now on. */
  get port(): TcpPort {
    return this.#port
  }

  set port(port: TcpPort) {
    this.#port = port
  }

  /** Connections that are not over. */
  get connections(): number {
    return this.#connections
  }

  /** Connections that Node.js has. */
  countConnections(): Promise<number | undefined> {
    return countConnections(this.#server)
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  open(): Promise<number> {
    const { port, host } = this.#port.options
    const { inherited } = this.context
    const open = inherited?.get(port)
    inherited?.delete(port)
    return listen(this.#server, port, open ?? host)
  }

  /** Takes no new connections; those that are open go on. Idempotent; resolves when the port is free. */
  close(): Promise<void> {
    // `close` of the server calls back when the last connection is over, but has let go of the port before it returns.
    this.#server.close()
    return new Promise(resolve => setImmediate(resolve))
  }

  readonly #accepted = (socket: Socket): void => {
    const fail = (thrown: unknown): void => {
      socket.destroy()
      this.context.log.error({ err: thrown }, 'internal fault while taking a connection')
    }
    attempt(fail, () => this.#accept(socket))
  }

  #accept(socket: Socket): void {
    const port = this.#port
    this.#connections++
    this.#tally?.add('', 1)
    const key = addressKey(socket.remoteAddress ?? '')
    this.#addresses.set(key, (this.#addresses.get(key) ?? 0) + 1)
    this.#ofAddresses?.add(key, 1)
    const connection = new TcpConnection(this.context.nextNumber(), this.context, port, socket, over => {
      this.#connections--
      this.#tally?.add('', -1)
      this.#leave(key)
      this.context.onOver(over)
    })
    this.context.onOpen(connection)
    this.book.enter(
      socket,
      guarded(connection.fail, () => connection.left()),
    )
    const refusal = this.#refusal(connection.client.address, port)
    if (refusal !== undefined) return connection.abort(...refusal)
    switch (port.options.tls) {
      case 'none':
        return connection.join({ route: port.routeOf(undefined)! })
      case 'passthrough':
        return joinByName(connection, socket, port)
      case 'terminate':
        return this.context.terminatorOf(port).accept(connection, socket, port)
    }
  }

  #leave(key: string): void {
    const left = this.#addresses.get(key)! - 1
    if (left > 0) this.#addresses.set(key, left)
    else this.#addresses.delete(key)
    this.#ofAddresses?.add(key, -1)
  }

  #refusal(address: string, port: TcpPort): [ErrorCode, string] | undefined {
    if (!port.admits(address)) return ['ADDRESS_REFUSED', 'allow and deny of the port do not let this address in']
    const { maxConnections, maxConnectionsPerAddress } = port.options
    const key = addressKey(address)
    const ofAddress = (this.#addresses.get(key) ?? 0) + (this.#ofAddresses?.others(key) ?? 0)
    if (ofAddress > maxConnectionsPerAddress && !this.context.isTrusted(address))
      return ['OVERLOADED', `${maxConnectionsPerAddress} connections of this address are open, as many as maxConnectionsPerAddress allows`]
    if (this.#connections + (this.#tally?.others('') ?? 0) > maxConnections)
      return ['OVERLOADED', `${maxConnections} connections are open, as many as maxConnections allows`]
    return undefined
  }
}
