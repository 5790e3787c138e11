import type { Socket } from 'node:net'
import type { TargetTable } from '../../route/table.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import { isChallenge } from '../../tls/challenge-answers.ts'
import { canonicalName } from './tcp-hello.ts'

/** A connection of the port of clients that is carried on unopened. */
export interface PassedConnection {
  /** Paused. */
  readonly socket: Socket
  /** The rules for the name. */
  readonly port: TcpPort
  /** Canonical, as the client has sent it. */
  readonly name: string
  /** All that was read of it. */
  readonly head: Buffer
  /** Address of the client, which a proxy may have told. */
  readonly address: string
  /** An authority asks whether the name leads here. */
  readonly isChallenge: boolean
}

/** The names of the port of clients whose TLS ends at inner layers: their connections are carried on as those of TCP ports are. */
export class PassedNames {
  /** @param carry  takes such a connection */
  constructor(
    private readonly table: () => TargetTable,
    private readonly carry: (passed: PassedConnection) => void,
  ) {}

  /** Is there any? While there is none, nobody has to know which name a client wants. */
  get isNeeded(): boolean {
    return this.table().hasBlindNames === true
  }

  /**
   * Takes the connection if the name in its first message is such a one; a message without a name never is.
   * @param socket   paused
   * @param message  all that was read of it
   * @param address  of the client
   * @returns false: it is not taken
   */
  take(
    socket: Socket,
    { bytes, name: sent, alpn }: { readonly bytes: Buffer; readonly name: string | undefined; readonly alpn: readonly string[] },
    address: string,
  ): boolean {
    const name = canonicalName(sent)
    const port = name === undefined ? undefined : this.table().blindName?.(name)
    if (name === undefined || port === undefined) return false
    this.carry({ socket, port, name, head: bytes, address, isChallenge: isChallenge(alpn) })
    return true
  }
}
