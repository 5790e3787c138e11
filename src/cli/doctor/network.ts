import { lookup } from 'node:dns/promises'
import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'
import { connect as connectTcp, createServer, isIP } from 'node:net'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { messageOf } from '../../errors.ts'

const CONNECT_MS = 5_000

/** The code of a failed system call, such as ECONNREFUSED; else what was thrown. */
export function codeOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return codeOf(thrown.errors[0])
  const { code } = thrown as { readonly code?: unknown }
  return typeof code === 'string' ? code : messageOf(thrown)
}

/** The addresses of a name. @throws Error as the resolver gives it */
export async function resolve(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** Opens a TCP connection and closes it; gives the time that it took, milliseconds. @throws Error of the system call */
export function reach(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const socket = connectTcp({ host, port, timeout: CONNECT_MS })
    socket.on('connect', () => {
      resolve(performance.now() - startedMs)
      socket.destroy()
    })
    socket.on('timeout', () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
    socket.on('error', reject)
  })
}

/** The handshake of a TLS port, as a client sees it. */
export interface TlsAnswer {
  readonly protocol: string
  /** Undefined: the chain leads to a trusted authority and the name is right. */
  readonly fault: string | undefined
  readonly certificate: PeerCertificate
}

/** Makes a TLS handshake, whatever its certificate, and leaves. @param ca  PEM of the only authorities to trust @throws Error */
export function shakeHands(host: string, port: number, ca: string | undefined): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host,
      port,
      timeout: CONNECT_MS,
      rejectUnauthorized: false,
      ...(ca === undefined ? {} : { ca }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    })
    socket.on('secureConnect', () => {
      // It is an Error, or the code of one.
      const fault = socket.authorized ? undefined : codeOf(socket.authorizationError)
      resolve({ protocol: socket.getProtocol() ?? '', fault, certificate: socket.getPeerCertificate() })
      socket.destroy()
    })
    socket.on('timeout', () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
    socket.on('error', reject)
  })
}

/** Opens a port and closes it again. @returns undefined, or the code of the failure */
export function tryPort(port: number, host: string | undefined): Promise<string | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', error => resolve(codeOf(error)))
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => server.close(() => resolve(undefined)))
  })
}

/**
 * Does a layer answer at this port of this machine? One that runs has its ports, and a puzzled user does not stop it for a check. Its
 * certificate is for its public name, so that is not asked for here.
 */
export function answersHealthy(port: number, isTls: boolean): Promise<boolean> {
  return new Promise(resolve => {
    const get = isTls ? getHttps : getHttp
    const request = get(
      { host: '127.0.0.1', port, path: '/healthz', timeout: 1_000, agent: false, rejectUnauthorized: false },
      response => {
        let text = ''
        response.setEncoding('latin1').on('data', (chunk: string) => (text = (text + chunk).slice(0, 64)))
        response.on('end', () => resolve(response.statusCode === 200 && text === '{"status":"ok"}')).on('error', () => resolve(false))
      },
    )
    request.on('timeout', () => request.destroy()).on('error', () => resolve(false))
  })
}

/** Returns the remedy for a connection that failed. */
export function connectRemedy(code: string, host: string, port: number): string {
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${host}:${port}: is it running, and is the port right?`
    case 'ETIMEDOUT':
      return `nothing comes back from ${host}:${port}: is a firewall in between, and is the address right?`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to this address from here: check the network, the VPN and the routes'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `check the spelling of ${host} and the DNS servers of this machine`
    case 'ECONNRESET':
      return `${host}:${port} or something in between ends connections: is this the right port?`
    default:
      return 'see what the code means for this system'
  }
}
