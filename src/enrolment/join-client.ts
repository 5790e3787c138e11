/** An inner layer that was invited: finds out who answers, and only then says the secret. */
import { request, type IncomingMessage } from 'node:http'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { GatewayError, messageOf } from '../errors.ts'
import { formatHostPort } from '../address/host-port.ts'
import { connectThrough } from '../net/http-proxy.ts'
import { JOIN_PATH, pinOf, type JoinText } from './join-text.ts'

/** For the connection, and then for the answer. */
const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 65_536

/** Options for joining. */
export interface JoinOptions {
  readonly invitation: JoinText
  /** The certificate of the key that was made, PEM. */
  readonly certificate: string
  /** PEM of the only authorities to trust; absent: those of the system. */
  readonly ca?: string | undefined
  readonly proxy?: URL | undefined
}

/** The result of an attempt to join. */
export interface JoinResult {
  readonly identifier: string
  readonly kid: string
  /** PEM that has to be trusted on later connections; undefined: the certificate is one that everybody can check. */
  readonly ca: string | undefined
}

const lost = (message: string, cause?: unknown): GatewayError => new GatewayError('OUTER_LAYER_LOST', message, { cause })

/**
 * Hands a certificate in. The secret is sent when the far end has proven to be the one that made it, and to nobody else.
 * @throws GatewayError AUTH when somebody else answers, and nothing was sent; INVITATION_INVALID, RATE_LIMITED, INVALID by the word of the
 *   outer layer; OUTER_LAYER_LOST when there was no answer
 */
export async function join(options: JoinOptions): Promise<JoinResult> {
  const url = new URL(options.invitation.url)
  const socket = await connectTo(url, options.proxy)
  try {
    if (url.protocol !== 'wss:') return { ...(await handIn(socket, url, options)), ca: undefined }
    const secure = await secured(socket, url, options)
    const ca = trustOf(secure, url, options)
    return { ...(await handIn(secure, url, options)), ca }
  } finally {
    socket.destroy()
  }
}

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

function connectTo(url: URL, proxy: URL | undefined): Promise<Socket> {
  const place = { host: hostOf(url), port: Number(url.port || (url.protocol === 'wss:' ? 443 : 80)) }
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void =>
      reject(lost(`cannot reach the outer layer at ${formatHostPort(place)}: ${messageOf(cause)}`, cause))
    if (proxy !== undefined)
      return connectThrough(
        proxy,
        formatHostPort(place),
        (error, socket) => (socket === undefined ? failed(error ?? new Error('no connection')) : resolve(socket)),
        AbortSignal.timeout(TIMEOUT_MS),
      )
    const socket = connectTcp(place)
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no connection within ${TIMEOUT_MS / 1000} s`)))
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.off('error', failed).on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** With a pin, whatever certificate there is is let through here, and judged by it before anything is sent. */
function secured(socket: Socket, url: URL, { invitation, ca }: JoinOptions): Promise<TLSSocket> {
  const host = hostOf(url)
  return new Promise((resolve, reject) => {
    const secure = connectTls({
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
      rejectUnauthorized: invitation.pin === undefined,
    })
    const failed = (cause: Error): void => {
      secure.destroy()
      reject(lost(`no TLS connection to the outer layer at ${url.host}: ${messageOf(cause)}`, cause))
    }
    secure.setTimeout(TIMEOUT_MS, () => failed(new Error(`no handshake within ${TIMEOUT_MS / 1000} s`)))
    secure.on('error', failed)
    secure.once('secureConnect', () => {
      secure.setTimeout(0)
      resolve(secure)
    })
  })
}

/** Checks who is there. @returns what has to be trusted later @throws GatewayError AUTH, KEY_INVALID */
function trustOf(secure: TLSSocket, url: URL, { invitation: { pin } }: JoinOptions): string | undefined {
  if (pin === undefined) return undefined
  const certificate = secure.getPeerX509Certificate()
  if (certificate === undefined || pinOf(certificate.publicKey) !== pin)
    throw new GatewayError(
      'AUTH',
      `the certificate at ${url.host} is not the one of the invitation: somebody else answers there, or the outer layer has a new one; nothing was sent`,
    )
  if (secure.authorized) return undefined
  const host = hostOf(url)
  if ((isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) === undefined)
    throw new GatewayError(
      'KEY_INVALID',
      `the certificate at ${url.host} is for other names: ${certificate.subjectAltName ?? 'none'}; start the outer layer with --invite-url wss://HOST:PORT, by one of them`,
    )
  if (certificate.issuer !== certificate.subject)
    throw new GatewayError(
      'KEY_INVALID',
      `this machine does not know the authority of the certificate at ${url.host}; give its file: --outer-layer-ca`,
    )
  return certificate.toString()
}

function handIn(
  socket: Duplex,
  url: URL,
  { invitation: { secret }, certificate }: JoinOptions,
): Promise<{ identifier: string; kid: string }> {
  const body = JSON.stringify({ secret, certificate })
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => reject(lost(`the outer layer at ${url.host} did not answer: ${messageOf(cause)}`, cause))
    const call = request({
      createConnection: () => socket,
      method: 'POST',
      path: `${url.pathname.replace(/(?<!\/)\/+$/, '')}${JOIN_PATH}`,
      headers: { Host: url.host, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    })
    call.setTimeout(TIMEOUT_MS, () => call.destroy(new Error(`nothing within ${TIMEOUT_MS / 1000} s`)))
    call.on('error', failed)
    call.on('response', response => void readAnswer(response, url).then(resolve, reject))
    call.end(body)
  })
}

/** The codes that an outer layer refuses with. */
const CODES = ['INVITATION_INVALID', 'RATE_LIMITED', 'INVALID'] as const

async function readAnswer(response: IncomingMessage, url: URL): Promise<{ identifier: string; kid: string }> {
  let text = ''
  for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) if (text.length < MAX_ANSWER_BYTES) text += piece
  const said = parse(text)
  const { identifier, kid } = said
  if (response.statusCode === 200 && typeof identifier === 'string' && typeof kid === 'string') return { identifier, kid }
  const code = CODES.find(each => each === said['code'])
  if (code !== undefined) throw new GatewayError(code)
  throw lost(
    response.statusCode === 404
      ? `${url.host} takes no invitations: is this the socket port of the outer layer, and was it started with --invite?`
      : `the outer layer at ${url.host} answered ${response.statusCode}; its log says why`,
  )
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
