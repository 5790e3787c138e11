import { connect, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { formatHostPort, type HostPort } from '../../address/host-port.ts'
import { GatewayError } from '../../errors.ts'
import { lookupName } from '../../net/lookup-name.ts'
import { AllowList } from '../../origin/allow-list.ts'
import type { Dialer } from '../../origin/dial.ts'

/** The thing on this machine that requests are for. */
export interface LocalService {
  /** As users read it: `127.0.0.1:8000`, or a folder. */
  readonly place: string
  /** With what it speaks. @param type  of the socket, such as http */
  urlOf(type: string): string
  /** The way to it, by whatever name and port it is asked for; the allow-list judges the name before. */
  readonly dialer: Dialer
  /** The same for connections that are carried as they are: each half ends for itself. */
  readonly tcpDialer: Dialer
  /** Does anything take a connection there? Absent: always. */
  readonly answers?: () => Promise<boolean>
  /** Does it speak TLS there? undefined: it has not said. Absent: it never does. */
  readonly speaksTls?: () => Promise<boolean | undefined>
}

const PROBE_MS = 2_000
/** A service that has much to do may take its time for a handshake. */
const HANDSHAKE_MS = 10_000

/** Many programs that are asked for localhost listen at one of its two addresses only, and nobody knows which. */
const placesOf = ({ host, port }: HostPort): readonly HostPort[] =>
  host === '127.0.0.1' || host === 'localhost' ? ['127.0.0.1', '::1'].map(address => ({ host: address, port })) : [{ host, port }]

/** Everything but link-local addresses and those under which clouds hand out credentials. */
const UNGUARDED = new AllowList([])

/** As names resolve, less the addresses that have to be named themselves: whoever answers for a name chooses where it leads. */
const lookupUnguarded: LookupFunction = (hostname, options, callback) =>
  lookupName(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, '', 0)
    const allowed = (found as { address: string; family: number }[]).filter(({ address }) => UNGUARDED.checkAddress(hostname, address, 0))
    const [first] = allowed
    if (first === undefined) {
      const why = `${hostname} leads to a link-local or cloud-metadata address alone; where that is meant, give the address itself: --host`
      return callback(new GatewayError('ORIGIN_FORBIDDEN', why), '', 0)
    }
    if (options.all === true) callback(null, allowed)
    else callback(null, first.address, first.family)
  })

/** Connects, and gives a connection that stands. */
const connected = ({ host, port }: HostPort, allowHalfOpen: boolean, signal: AbortSignal): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: lookupUnguarded, allowHalfOpen, noDelay: true, keepAlive: true })
    const giveUp = (): void => void socket.destroy()
    const over = (): void => {
      signal.removeEventListener('abort', giveUp)
      socket.off('error', failed).off('close', gone)
    }
    const failed = (error: Error): void => {
      over()
      reject(error)
    }
    const gone = (): void => failed(new Error('nobody wants the connection any more'))
    signal.addEventListener('abort', giveUp)
    socket.once('error', failed).once('close', gone)
    socket.once('connect', () => {
      over()
      resolve(socket)
    })
  })

/** @throws the reason of the first place, where none of them takes a connection */
async function firstOf(places: readonly HostPort[], allowHalfOpen: boolean, signal: AbortSignal): Promise<Socket> {
  const reasons: unknown[] = []
  for (const place of places) {
    try {
      return await connected(place, allowHalfOpen, signal)
    } catch (reason) {
      reasons.push(reason)
      if (signal.aborted) break
    }
  }
  throw reasons[0]
}

/** Of an answer to a handshake that is no TLS at all, such as that of a server of plain HTTP. */
const NO_TLS = /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/

/** Begins TLS on a connection, and ends it. */
const handshake = (socket: Socket, signal: AbortSignal): Promise<boolean | undefined> =>
  new Promise(resolve => {
    // Nothing is sent in it, and the service of a user has a certificate of its own making.
    const tls = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    const said = (isTls: boolean | undefined): void => {
      resolve(isTls)
      tls.destroy()
      socket.destroy()
    }
    tls.once('secureConnect', () => said(true)).once('close', () => said(undefined))
    tls.on('error', ({ code = '' }: NodeJS.ErrnoException) => said(NO_TLS.test(code) ? false : undefined))
    signal.addEventListener('abort', () => said(undefined), { once: true })
  })

/** A port of this machine, or of another one that it can reach. @param given  IPv6 with or without brackets */
export function portService(given: HostPort): LocalService {
  const origin = { ...given, host: given.host.replace(/^\[([0-9a-f:.]+)\]$/i, '$1') }
  const places = placesOf(origin)
  const dialer = (allowHalfOpen: boolean): Dialer => ({ dial: (_hostname, _port, signal) => firstOf(places, allowHalfOpen, signal) })
  const place = formatHostPort(origin)
  return {
    place,
    urlOf: type => (type === 'http' || type === 'https' ? `${type}://${place}` : place),
    dialer: dialer(false),
    tcpDialer: dialer(true),
    answers: () =>
      firstOf(places, false, AbortSignal.timeout(PROBE_MS)).then(
        socket => {
          socket.destroy()
          return true
        },
        () => false,
      ),
    speaksTls: () => {
      const signal = AbortSignal.timeout(HANDSHAKE_MS)
      return firstOf(places, false, signal).then(
        socket => handshake(socket, signal),
        () => undefined,
      )
    },
  }
}
