import { chmod } from 'node:fs/promises'
import { Socket, type AddressInfo, type Server } from 'node:net'
import { formatHostPort } from '../address/host-port.ts'
import { GatewayError, messageOf } from '../errors.ts'
import { guarded } from './guard.ts'

/** Ports below may need a capability (Linux: net.ipv4.ip_unprivileged_port_start). */
const FIRST_FREE_PORT = 1024

/** The purpose of a port, for the message when it cannot be opened. */
export interface ListenWords {
  /** Completes "cannot …". */
  readonly doing?: string
  /** The remedy when another program has the port. */
  readonly taken?: string
}

const TAKEN = 'choose another port or stop the program that uses it'

/** The remedy for a port that could not be opened, by the code of the failed system call. @param taken  when another program has it */
export function remedyOf(code: string | undefined, port: number, taken = TAKEN): string {
  switch (code) {
    case 'EADDRNOTAVAIL':
      return 'this is no address of this machine: give one that it has, or none to listen on all of them'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'this name has no address here: give an address of this machine, or none to listen on all of them'
    case 'EAFNOSUPPORT':
      return 'this machine does not have this kind of address (IPv6 may be off): give one that it has'
    case 'EACCES':
      return port < FIRST_FREE_PORT
        ? `this account may not open ports below ${FIRST_FREE_PORT}: choose one from there on, or give the service the capability CAP_NET_BIND_SERVICE`
        : 'this account may not open it: choose another port'
    default:
      return taken
  }
}

/** A socket that was open before this process began: its number stands in the place of a host. It is good once: closed, the number may be another one's. */
const INHERITED = /^fd:(\d{1,4})$/

/** Listens and gives the port. @param host  or `fd:3`, a socket that was inherited; `port` counts for nothing then @throws GatewayError LISTEN_FAILED */
export function listen(
  server: Server,
  port: number,
  host: string | undefined,
  { doing = 'listen on', taken }: ListenWords = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const [, fd] = INHERITED.exec(host ?? '') ?? []
    const fail = (cause: NodeJS.ErrnoException): void => {
      if (fd !== undefined)
        return reject(
          new GatewayError('LISTEN_FAILED', `cannot ${doing} the socket ${fd} of the service manager: ${messageOf(cause)}`, { cause }),
        )
      const message = `cannot ${doing} ${formatHostPort({ host: host ?? '*', port })}: ${messageOf(cause)}; ${remedyOf(cause.code, port, taken)}`
      reject(new GatewayError('LISTEN_FAILED', message, { cause }))
    }
    const failed = guarded(reject, fail)
    server.once('error', failed)
    const opened = (): void => {
      server.off('error', failed)
      server.on('error', () => undefined) // EMFILE while accepting: that connection is lost, the listener is not
      resolve((server.address() as AddressInfo).port)
    }
    if (fd === undefined) return void server.listen({ port, ...(host !== undefined && { host }) }, opened)
    try {
      // As a socket: of a number alone, a worker would take the one that its primary has.
      server.listen(new Socket({ fd: Number(fd) }), opened)
    } catch (thrown) {
      fail(thrown as Error)
    }
  })
}

const OWNER_ONLY = 0o600

/**
 * Listens at a path of this machine, for processes of this account alone; in a worker, for this process alone.
 * @param path  in a folder that nobody else may enter: the mode of the socket follows a moment later
 * @throws GatewayError LISTEN_FAILED
 */
export async function listenAtPath(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(
        new GatewayError('LISTEN_FAILED', `cannot listen at ${path}: ${messageOf(cause)}; set TMPDIR to a folder with a short name`, {
          cause,
        }),
      )
    const failed = guarded(reject, fail)
    server.once('error', failed)
    server.listen({ path, exclusive: true }, () => {
      server.off('error', failed)
      server.on('error', () => undefined) // as above
      resolve()
    })
  })
  await chmod(path, OWNER_ONLY)
}

/** Listens at a path where one is given, else at a port. @returns the port, 0 for a path @throws GatewayError LISTEN_FAILED */
export const listenAt = (
  server: Server,
  { path, port, host }: { readonly path?: string | undefined; readonly port: number; readonly host?: string },
): Promise<number> => (path === undefined ? listen(server, port, host) : listenAtPath(server, path).then(() => 0))
